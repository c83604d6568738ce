"""Tasks that people expect, on public data sets, with the prompts that the field uses.

Where a prompt is that of lm-eval's task of the same name, the numbers may be set beside those of
papers that used it; the metrics say in their details how they differ.
"""
