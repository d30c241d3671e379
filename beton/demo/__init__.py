"""The simulated company: a structural model whose truth is known, written as the raw files an import reads.

``company.write`` is the only entry point. The model is described in docs/demo.md.
"""
