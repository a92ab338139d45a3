"""The compiler: a function of arrays is called once with tracers, and what they record becomes a program.

One graph of interned nodes (`graph`), one table of operations (`ops`), passes in one order: trace (`trace`), rewrite
(`passes`), fuse (`fusion`), plan memory (`memory`), render (`render`, `numpy_codegen`, `cuda_codegen`).
"""
