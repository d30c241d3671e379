"""Every function that DuckDB 2.0.0 has by name, reviewed one by one: what a query may call, and why not the rest.

A query may call what computes from its arguments alone, so that asking twice gives the same answer. A name in neither
list is refused as unknown; a test compares both lists with those of the engine, so that an upgrade is reviewed.
"""

from __future__ import annotations

from typing import Final

TABLE_FUNCTIONS: Final = frozenset({"range", "generate_series", "unnest"})

_OPERATORS: Final = r"""
    != !~~ !~~* % & && * ** + - ->> / // < <-> << <= <=> <@ = > >= >> @ @> ^ ^@ | || ~ ~~ ~~* ~~~
"""
_NUMBERS: Final = """
    abs acos acosh asin asinh atan atan2 atanh binom bit_count bit_length bit_position cbrt ceil ceiling cos cosh
    cot degrees even exp factorial fdiv floor fmod gamma gcd get_bit greatest_common_divisor isinf isnan lcm
    least_common_multiple lgamma ln log log10 log2 mod nextafter pi pow power radians round round_even roundbankers
    set_bit sign signbit sin sinh sqrt tan tanh trunc xor
"""
_TEXT: Final = """
    ascii base64 bin char_length character_length chr concat concat_ws damerau_levenshtein decode editdist3 encode
    ends_with format formatReadableDecimalSize formatReadableSize format_bytes from_base64 from_binary from_hex
    hamming hash hex ilike_escape instr jaccard jaro_similarity jaro_winkler_similarity lcase left left_grapheme
    length length_grapheme levenshtein like_escape lower lpad ltrim md5 md5_number md5_number_lower md5_number_upper
    mismatches not_ilike_escape not_like_escape octet_length ord overlay parse_dirname parse_dirpath parse_filename
    parse_formatted_bytes parse_path position prefix printf regexp_escape regexp_extract regexp_extract_all
    regexp_full_match regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table replace reverse
    right right_grapheme rpad rtrim sha1 sha256 split split_part starts_with str_split str_split_regex string_split
    string_split_regex string_to_array strip_accents strlen strpos substr substring substring_grapheme suffix
    to_base to_base64 to_binary to_hex translate trim ucase unbin unhex unicode upper url_decode url_encode
"""
_TIMES: Final = """
    age century date_add date_diff date_part date_sub date_trunc datediff datepart datesub datetrunc day dayname
    dayofmonth dayofweek dayofyear days_in_month decade epoch epoch_ms epoch_ns epoch_us era hour isfinite isodow
    isoyear julian last_day make_date make_time make_timestamp make_timestamp_ms make_timestamp_ns make_timestamptz
    microsecond millennium millisecond minute month monthname nanosecond quarter second strftime strptime
    time_bucket timezone timezone_hour timezone_minute to_centuries to_days to_decades to_hours to_microseconds
    to_millennia to_milliseconds to_minutes to_months to_quarters to_seconds to_timestamp to_weeks to_years
    try_strptime uuid_extract_timestamp uuid_extract_version week weekday weekofyear year yearweek
"""
_LISTS: Final = """
    apply array_append array_apply array_cat array_concat array_contains array_cosine_distance
    array_cosine_similarity array_cross_product array_distance array_distinct array_dot_product array_extract
    array_filter array_grade_up array_has array_has_all array_has_any array_indexof array_inner_product
    array_intersect array_length array_negative_dot_product array_negative_inner_product array_pop_back
    array_pop_front array_position array_prepend array_push_back array_push_front array_reduce array_reverse
    array_reverse_sort array_select array_slice array_sort array_to_json array_to_string array_transform
    array_unique array_value array_where array_zip cardinality contains element_at equi_width_bins filter flatten
    generate_series generate_subscripts grade_up len list_any_value list_append list_apply
    list_approx_count_distinct list_avg list_bit_and list_bit_or list_bit_xor list_bool_and list_bool_or list_cat
    list_concat list_contains list_cosine_distance list_cosine_similarity list_count list_distance list_distinct
    list_dot_product list_element list_entropy list_extract list_filter list_first list_grade_up list_has
    list_has_all list_has_any list_histogram list_indexof list_inner_product list_intersect list_kurtosis
    list_kurtosis_pop list_last list_mad list_max list_median list_min list_mode list_negative_dot_product
    list_negative_inner_product list_pack list_position list_prepend list_product list_reduce list_reverse
    list_reverse_sort list_select list_sem list_skewness list_slice list_sort list_stddev_pop list_stddev_samp
    list_string_agg list_sum list_transform list_unique list_value list_var_pop list_var_samp list_where list_zip
    range reduce
"""
_NESTED: Final = """
    enum_code enum_first enum_last enum_range enum_range_boundary map map_concat map_contains map_contains_entry
    map_contains_value map_entries map_extract map_extract_value map_from_entries map_keys map_values row
    struct_concat struct_contains struct_extract struct_extract_at struct_has struct_indexof struct_insert
    struct_keys struct_pack struct_position struct_update struct_values union_extract union_tag union_value
"""
_JSON: Final = """
    from_json from_json_strict json json_array json_array_length json_contains json_deep_merge json_exists
    json_extract json_extract_path json_extract_path_text json_extract_string json_group_array json_group_object
    json_group_structure json_insert json_keys json_merge_patch json_merge_patch_diff json_normalize json_object
    json_pretty json_quote json_remove json_replace json_set json_strip_nulls json_structure json_transform
    json_transform_strict json_type json_valid json_value row_to_json to_json variant_array_length variant_contains
    variant_exists variant_extract variant_extract_string variant_keys variant_type variant_typeof
"""
_CHOICES: Final = """
    greatest if least nullif typeof
"""
_AGGREGATES: Final = """
    any_value approx_count_distinct arbitrary arg_max arg_max_null arg_max_nulls_last arg_min arg_min_null
    arg_min_nulls_last argmax argmin array_agg avg bit_and bit_or bit_xor bitstring_agg bool_and bool_or corr count
    count_if count_star countif covar_pop covar_samp entropy favg first fsum geomean geometric_mean group_concat
    histogram histogram_exact kahan_sum kurtosis kurtosis_pop last list listagg lttb mad max max_by mean median min
    min_by mode product quantile quantile_cont quantile_disc regr_avgx regr_avgy regr_count regr_intercept regr_r2
    regr_slope regr_sxx regr_sxy regr_syy sem skewness stddev stddev_pop stddev_samp string_agg sum sumkahan var_pop
    var_samp variance wavg weighted_avg
"""
_WINDOWS: Final = """
    cume_dist dense_rank fill first_value lag last_value lead nth_value ntile percent_rank rank rank_dense
    row_number
"""
# Names with a space inside, and unnest, which the engine lists as a table function only.
_OTHERS: Final = ("IS DISTINCT FROM", "IS NOT DISTINCT FROM", "unnest")

ALLOWED: Final = frozenset(
    name
    for group in (
        _OPERATORS,
        _NUMBERS,
        _TEXT,
        _TIMES,
        _LISTS,
        _NESTED,
        _JSON,
        _CHOICES,
        _AGGREGATES,
        _WINDOWS,
    )
    for name in group.split()
).union(_OTHERS)

_REFUSED: Final = {
    "clock": """
        ago current_date current_localtime current_localtimestamp get_current_time get_current_timestamp now
        today transaction_timestamp
    """,
    "random": """
        approx_quantile approx_top_k gen_random_uuid random reservoir_quantile setseed uuid uuidv4 uuidv7
    """,
    "sleeps": """
        pg_sleep sleep_ms
    """,
    "settings": """
        current_connection_id current_query current_query_id current_role current_setting current_transaction_id
        current_user get_block_size getvariable inet_client_addr inet_client_port inet_server_addr
        inet_server_port pg_conf_load_time pg_postmaster_start_time session_user txid_current user version
    """,
    "side effects": """
        assert_true currval error nextval setval write_log
    """,
    "catalogue": """
        can_cast_implicitly col_description current_catalog current_database current_schema current_schemas
        format_pg_type format_type get_type has_any_column_privilege has_column_privilege has_database_privilege
        has_foreign_data_wrapper_privilege has_function_privilege has_language_privilege has_schema_privilege
        has_sequence_privilege has_server_privilege has_table_privilege has_tablespace_privilege in_search_path
        map_to_pg_oid obj_description pg_collation_is_visible pg_conversion_is_visible pg_function_is_visible
        pg_get_constraintdef pg_get_expr pg_get_viewdef pg_has_role pg_is_other_temp_schema pg_my_temp_schema
        pg_opclass_is_visible pg_operator_is_visible pg_opfamily_is_visible pg_size_pretty pg_table_is_visible
        pg_ts_config_is_visible pg_ts_dict_is_visible pg_ts_parser_is_visible pg_ts_template_is_visible
        pg_type_is_visible pg_typeof shobj_description stats
    """,
    "runs text": """
        json_deserialize_sql json_serialize_plan json_serialize_sql
    """,
    "by name": """
        aggregate array_aggr array_aggregate list_aggr list_aggregate
    """,
    "large values": """
        array_resize bar bitstring list_resize repeat
    """,
    "geometry": """
        st_asbinary st_asgeojson st_astext st_aswkb st_aswkt st_crs st_geomfromgeojson st_geomfromwkb
        st_intersects_extent st_setcrs vertex_extract
    """,
    "internal": """
        !__postfix __between __cast add alias array_to_string_comma_default bitstring_byte_comparable
        cast_to_type combine combine_aggr constant_or_null decimal_average decimal_division divide finalize
        hive_partition_component index_key invoke is_histogram_other_bin json_copy_strftime_if_date
        json_copy_strftime_if_timestamp make_type multiply normalized_interval parse_duckdb_log_message
        path_join remap_struct replace_type subtract sum_no_overflow switch timetz_byte_comparable
        to_aggregate_state unpivot_list variant_bytes_to_variant variant_comparator variant_group_array
        variant_group_object variant_normalize variant_to_parquet_variant vector_type
    """,
}
_INTERNAL: Final = """
    barrier compress_geometry_point compress_integral_ubigint compress_integral_uinteger compress_integral_usmallint
    compress_integral_utinyint compress_string_hugeint compress_string_ubigint compress_string_uhugeint
    compress_string_uinteger compress_string_usmallint compress_string_utinyint compressed_materialization_cast
    decompress_geometry_point decompress_integral_bigint decompress_integral_hugeint decompress_integral_integer
    decompress_integral_smallint decompress_integral_ubigint decompress_integral_uhugeint
    decompress_integral_uinteger decompress_integral_usmallint decompress_string json_copy_to_geojson
    json_copy_to_json tablefilter_bloom_filter tablefilter_dynamic tablefilter_optional tablefilter_prefix_range
    tablefilter_selectivity_optional
"""
_COLLATIONS: Final = """
    aa af am ar ar_sa as az bal be bg blo bn bo br bs ca ceb chr cs cu cy da de de_at dsb dz ee el en en_us eo es et
    fa fa_af ff fi fil fo fr fr_ca fy ga gl gu ha haw he he_il hi hr hsb hu hy id id_id ig is it ja ka kk kl km kn
    ko kok ku ky lb lij lkt ln lo lt lv mk ml mn mr ms mt my nb nb_no ne nl nn no noaccent nso om or pa pa_in pl ps
    pt ro ru sa se sgs si sk sl smn sq sr sr_ba sr_me sr_rs ssy st sv sw ta te th tk tn to tr ug uk ur uz vi vo wae
    wo xh yi yo zh zh_cn zh_hk zh_mo zh_sg zh_tw zu
"""
_SORT_KEYS: Final = "create_sort_key icu_sort_key nfc_normalize"

# Bare words that the engine takes for a call where no column has that name.
VALUE_WORDS: Final = frozenset(
    "current_catalog current_date current_role current_schema current_time current_timestamp current_user localtime"
    " localtimestamp session_user user".split()
)


def _all_refused() -> dict[str, str]:
    found = {name: reason for reason, names in _REFUSED.items() for name in names.split()}
    found |= {f"__internal_{name}": "internal" for name in _INTERNAL.split()}
    found |= {f"{kind}_{name}": "collations" for kind in ("collate", "icu_collate") for name in _COLLATIONS.split()}
    return found | dict.fromkeys(_SORT_KEYS.split(), "collations")


REFUSED: Final = _all_refused()  # name -> reason

FIX: Final = {
    "clock": "a query must give the same answer whenever it is asked; use timestamp, days_since_signup or signed_up_at",
    "random": "a query must give the same answer whenever it is asked; use quantile_cont, or ORDER BY on a column",
    "sleeps": "remove it",
    "settings": "a query may read events, users, companies and deals only",
    "side effects": "a query may only read; use CASE, or NULL for what is missing",
    "catalogue": "a query may read events, users, companies and deals only; for the type of a value use typeof",
    "runs text": "write the query itself in its place, as a subquery",
    "by name": "call the function itself, as in list_sum(values), list_avg(values) or list_max(values)",
    "large values": "it only makes large values; remove it",
    "geometry": "there are no shapes in the data; compare numbers or text",
    "collations": "write COLLATE after the text, or compare lower(...) with lower(...)",
    "internal": "write an operator or a plain function such as coalesce, CASE or concat",
}
