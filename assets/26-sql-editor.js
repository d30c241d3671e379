// The editor of queries: a Dash component (layouts/parts/sql_editor.py) over CodeMirror, whose bundle is loaded when the
// first editor is drawn. Until then, and where it cannot be loaded, a plain text field does the same work. Names, values
// and messages reach the page as text only.
(function () {
  "use strict";

  const BUNDLE = "assets/lazy/cm6.min.js?v=6.43.15";
  const TYPING_MS = 250;

  // ---- the bundle, once -------------------------------------------------------------------------------------
  let loading = null;

  function load() {
    const prefix = () => JSON.parse(document.getElementById("_dash-config").textContent).requests_pathname_prefix;
    loading = loading || new Promise((done, failed) => {
      const script = document.createElement("script");
      script.src = prefix() + BUNDLE;
      script.onload = () => done(window.CodeMirror6);
      script.onerror = () => {
        loading = null;
        failed(new Error("the editor could not be loaded"));
      };
      document.head.append(script);
    });
    return loading;
  }

  // ---- the language -----------------------------------------------------------------------------------------
  const KEYWORDS =
    "select distinct from where and or not in is null like ilike similar to between exists any all some case when then " +
    "else end as on using join inner left right full outer cross semi anti asof natural lateral group by having order " +
    "asc desc nulls first last limit offset union intersect except with recursive over partition rows range preceding " +
    "following unbounded current row filter within qualify window values interval cast try_cast true false exclude " +
    "replace escape collate extract";
  const FUNCTIONS =
    "count sum avg min max median mode stddev quantile_cont arg_min arg_max any_value first last list string_agg bool_and " +
    "bool_or coalesce nullif greatest least abs round floor ceil sqrt ln log exp lower upper trim length substr replace " +
    "split_part concat starts_with contains regexp_matches regexp_extract date_trunc date_diff date_part day month year " +
    "hour epoch row_number rank dense_rank ntile lag lead first_value last_value percent_rank json_extract_string";
  const TYPES =
    "varchar text boolean tinyint smallint integer bigint hugeint real double decimal numeric date time " +
    "timestamptz interval json uuid";

  function dialect(CM) {
    return CM.SQLDialect.define({
      keywords: KEYWORDS,
      builtin: FUNCTIONS,
      types: TYPES,
      caseInsensitiveIdentifiers: true,
      operatorChars: "*+-%<>!=&|~^/:",
    });
  }

  // ---- completion -------------------------------------------------------------------------------------------
  const PLAIN_NAME = /^[a-z_][a-z0-9_]*$/;
  const quoted = (name) => (PLAIN_NAME.test(name) ? name : `"${name.replaceAll('"', '""')}"`);
  const asColumn = ({ name, type, about }) => ({
    label: name, apply: quoted(name), detail: type, info: about || undefined, type: "property", boost: 2,
  });

  const tablesOf = (schema) => (schema && schema.tables) || [];

  function namespace(schema) {
    const levels = tablesOf(schema).map(({ name, about, columns }) => {
      const self = { label: name, detail: "table", info: about || undefined, type: "class", boost: 1 };
      return [name, { self, children: columns.map(asColumn) }];
    });
    return Object.fromEntries(levels);
  }

  // Columns without their table: those of the tables that the query names, or of all while it names none.
  const columns = (CM, schema) => (context) => {
    const word = context.matchBefore(/[\w"]*/);
    const before = context.state.sliceDoc(Math.max(0, word.from - 40), word.from);
    const none = (word.from === word.to && !context.explicit) || TABLE_OR_DOT.test(before);
    if (none || inside(CM, context, /String|Comment/)) return null;
    const text = context.state.doc.toString();
    const used = tablesOf(schema).filter(({ name }) => new RegExp(`\\b(from|join)\\s+${name}\\b`, "i").test(text));
    const options = (used.length ? used : tablesOf(schema)).flatMap((table) => table.columns.map(asColumn));
    const unique = [...new Map(options.map((option) => [option.label, option])).values()];
    return { from: word.from, options: unique, validFor: /^[\w"]*$/ };
  };

  const TABLE_OR_DOT = /(\.|\b(from|join)\s+)$/i; // where a table stands, or the column of a named one

  const COMPARED =
    /(?:(?:\w+\.)?"?(\w+)"?|->>?\s*'(\w+)'\s*\)?)\s*(?:=|<>|!=|(?:not\s+)?i?like|(?:not\s+)?in\s*\((?:\s*'(?:[^']|'')*'\s*,)*)\s*$/i;
  const KEY_OF_JSON = /\bproperties\s*->>?\s*$/i;

  // Between quotes: the values that the column has, or the keys that the properties of an event have.
  const values = (CM, schema) => (context) => {
    const at = inside(CM, context, /String/);
    if (!at || !schema) return null;
    const before = context.state.sliceDoc(Math.max(0, at.from - 2000), at.from);
    const compared = COMPARED.exec(before);
    const known = schema.values || {};
    const offered = KEY_OF_JSON.test(before) ? schema.keys : compared && known[(compared[1] || compared[2]).toLowerCase()];
    if (!offered || !Array.isArray(offered)) return null;
    const options = offered.map((label) => ({ label, apply: label.replaceAll("'", "''"), type: "constant" }));
    return { from: at.from + 1, options, validFor: /^[^']*$/ };
  };

  // The part of the syntax that the cursor stands in, if it is one of these; not behind the closing quote of a string.
  function inside(CM, context, kinds) {
    const { state, pos } = context;
    const node = CM.syntaxTree(state).resolveInner(pos, -1);
    if (!kinds.test(node.name)) return null;
    const text = state.sliceDoc(node.from, pos);
    return node.name === "String" && pos > node.from + 1 && (text.match(/'/g) || []).length % 2 === 0 ? null : node;
  }

  // ---- the editor -------------------------------------------------------------------------------------------
  function language(CM, schema) {
    const spoken = dialect(CM);
    const support = CM.sql({ dialect: spoken, schema: namespace(schema), upperCaseKeywords: true });
    return [
      support,
      spoken.language.data.of({ autocomplete: columns(CM, schema) }),
      spoken.language.data.of({ autocomplete: values(CM, schema) }),
    ];
  }

  function readOnly(CM, disabled) {
    return [CM.EditorState.readOnly.of(disabled), CM.EditorView.contentAttributes.of({ "aria-readonly": String(disabled) })];
  }

  function mount(CM, host, { text, label, schema, disabled, onChange, onBlur, onSubmit }) {
    const spoken = new CM.Compartment(), rests = new CM.Compartment();
    const mark = CM.StateEffect.define();
    const marked = CM.StateField.define({
      create: () => CM.Decoration.none,
      update(lines, transaction) {
        const found = transaction.effects.filter((effect) => effect.is(mark)).at(-1);
        if (!found) return lines.map(transaction.changes);
        const line = CM.Decoration.line({ class: "cm-error-line" });
        return found.value === null ? CM.Decoration.none : CM.Decoration.set([line.range(found.value)]);
      },
      provide: (field) => CM.EditorView.decorations.from(field),
    });
    const submit = () => {
      onSubmit();
      return true;
    };
    // A list that has only just opened takes no key yet; the key is not meant for the text either.
    const accept = (at) => CM.acceptCompletion(at) || CM.completionStatus(at.state) === "active";
    const view = new CM.EditorView({
      parent: host,
      doc: text,
      extensions: [
        CM.Prec.highest(CM.keymap.of([{ key: "Mod-Enter", run: submit }, { key: "Tab", run: accept }])),
        CM.lineNumbers(), CM.lintGutter(), CM.history(), CM.drawSelection(), CM.highlightSpecialChars(),
        CM.highlightActiveLine(), CM.bracketMatching(), CM.closeBrackets(), CM.indentOnInput(), CM.indentUnit.of("  "),
        CM.EditorState.tabSize.of(2), CM.EditorView.lineWrapping, CM.syntaxHighlighting(CM.classHighlighter),
        CM.autocompletion({ activateOnTypingDelay: 40, icons: false, maxRenderedOptions: 60 }),
        CM.keymap.of([
          ...CM.closeBracketsKeymap, ...CM.completionKeymap, ...CM.historyKeymap, CM.indentWithTab, ...CM.defaultKeymap,
        ]),
        CM.EditorView.contentAttributes.of({ "aria-label": label, spellcheck: "false", autocapitalize: "off" }),
        CM.EditorView.updateListener.of((update) => update.docChanged && onChange(update.state.doc.toString())),
        CM.EditorView.domEventHandlers({ blur: onBlur }),
        marked, spoken.of(language(CM, schema)), rests.of(readOnly(CM, disabled)),
      ],
    });

    function place({ line, column }) {
      const at = view.state.doc.line(Math.min(Math.max(line, 1), view.state.doc.lines));
      const from = Math.min(at.from + Math.max((column || 1) - 1, 0), at.to);
      const word = column ? view.state.wordAt(from) : null;
      return { line: at, from: word ? word.from : column ? from : at.from, to: word ? word.to : at.to };
    }

    return {
      destroy: () => view.destroy(),
      focus: () => view.focus(),
      hasFocus: () => view.hasFocus,
      rest: (value) => view.dispatch({ effects: rests.reconfigure(readOnly(CM, value)) }),
      speak: (value) => view.dispatch({ effects: spoken.reconfigure(language(CM, value)) }),
      write(value) {
        if (value !== view.state.doc.toString()) {
          view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: value }, selection: { anchor: 0 } });
        }
      },
      accuse(error) {
        const at = error && error.line ? place(error) : null;
        const found = at ? [{ from: at.from, to: at.to, severity: "error", message: String(error.message) }] : [];
        view.dispatch(CM.setDiagnostics(view.state, found));
        const shown = at ? [CM.EditorView.scrollIntoView(at.from)] : [];
        view.dispatch({ effects: [mark.of(at ? at.line.from : null), ...shown] });
      },
    };
  }

  // ---- the component ----------------------------------------------------------------------------------------
  function SqlEditor(props) {
    const React = window.React;
    const { id, value, schema, label, disabled, error } = props;
    const now = React.useRef(props);
    now.current = props;
    const host = React.useRef(), field = React.useRef(), editor = React.useRef(null);
    const text = React.useRef(value || ""), sent = React.useRef(value || ""), timer = React.useRef(null);
    const focused = React.useRef(false); // the plain field, when the editor takes its place
    const [state, setState] = React.useState("loading");

    const send = (more) => {
      window.clearTimeout(timer.current);
      const changed = text.current !== sent.current ? { value: text.current } : {};
      sent.current = text.current;
      if (more || changed.value !== undefined) now.current.setProps({ ...changed, ...more });
    };
    const onChange = (typed) => {
      text.current = typed;
      window.clearTimeout(timer.current);
      timer.current = window.setTimeout(send, now.current.debounce ?? TYPING_MS);
    };
    const onSubmit = () => {
      if (!now.current.disabled) send({ n_submit: (now.current.n_submit || 0) + 1 });
    };
    const onBlur = () => {
      send();
      return false;
    };

    React.useEffect(() => {
      let gone = false;
      load().then(() => !gone && setState("ready"), () => !gone && setState("plain"));
      return () => { gone = true; };
    }, []);
    // In one step with the plain field's going: there is never more than one field to write in.
    React.useLayoutEffect(() => {
      if (state !== "ready") return undefined;
      const { label, schema, disabled, error } = now.current;
      editor.current = mount(window.CodeMirror6, host.current, {
        text: text.current, label, schema, disabled: Boolean(disabled), onChange, onBlur, onSubmit,
      });
      if (error) editor.current.accuse(error);
      if (focused.current) editor.current.focus();
      return () => editor.current.destroy();
    }, [state]);
    React.useEffect(() => () => window.clearTimeout(timer.current), []);
    // A button outside of the editor submits it by its id.
    React.useEffect(() => {
      const hear = (event) => {
        if (event.target.closest && event.target.closest(`[data-submits="${id}"]`)) onSubmit();
      };
      document.addEventListener("click", hear);
      return () => document.removeEventListener("click", hear);
    }, []);
    React.useEffect(() => {
      if ((value || "") === sent.current) return;
      window.clearTimeout(timer.current);
      text.current = sent.current = value || "";
      if (editor.current) editor.current.write(text.current);
      else if (field.current) field.current.value = text.current;
    }, [value]);
    React.useEffect(() => { if (editor.current) editor.current.speak(schema); }, [schema]);
    React.useEffect(() => { if (editor.current) editor.current.rest(Boolean(disabled)); }, [disabled]);
    React.useEffect(() => { if (editor.current) editor.current.accuse(error); }, [error]);

    const plain = React.createElement("textarea", {
      ref: field,
      className: "form-control sql-plain",
      "aria-label": label,
      defaultValue: text.current,
      readOnly: Boolean(disabled),
      spellCheck: false,
      autoCapitalize: "off",
      rows: 12,
      onChange: (event) => onChange(event.target.value),
      onFocus: () => { focused.current = true; },
      onBlur: () => {
        focused.current = false;
        send();
      },
      onKeyDown: (event) => {
        if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
        event.preventDefault();
        onSubmit();
      },
    });
    return React.createElement(
      "div",
      { id, className: "sql-editor", "data-state": state, "aria-busy": String(state === "loading") },
      React.createElement("div", { ref: host, className: "sql-host" }),
      state === "ready" ? null : plain,
    );
  }

  window.beton_components = Object.assign({}, window.beton_components, { SqlEditor });

  // ---- the menu of examples ---------------------------------------------------------------------------------
  const openMenus = () => document.querySelectorAll("details.menu[open]");

  document.addEventListener("click", (event) => {
    const chosen = event.target.closest && event.target.closest(".menu-item");
    for (const menu of openMenus()) if (chosen || !menu.contains(event.target)) menu.open = false;
    if (chosen) document.querySelector(".sql-editor :is(.cm-content, textarea)").focus();
  });

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of openMenus()) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });
})();
