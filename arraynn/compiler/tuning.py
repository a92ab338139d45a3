"""The compiler's tuned constants, each with the benchmark that set it (`ci/bench`, on two AVX-512 cores)."""

# Loops (with Numba): `drop` and `dropout`, whose steps have arrays of 1.5 million elements; `spiral`, which has none.
LOOP_ELEMENTS = 65536  #: elements, above which a loop is compiled: compiling takes a second or so
LOOP_OPERATIONS = 16  #: operations in one group, from which on it is also compiled for fewer, beside large ones

# Short rows: `spiral` and `drop`, whose outputs have three columns. From a row to the next NumPy takes some 20 ns.
SHORT_ROW = 8  #: columns, fewer than which are taken one by one
SHORT_MAXIMUM = 5  #: columns, fewer than which the largest of a row is looked for column by column
TRANSPOSED_MAXIMUM = 64  #: columns, fewer than which the largest of a row is looked for with the rows side by side
COLLAPSED = 4096  #: elements, half of NumPy's buffer: collapsed rows should have more, or they are copied there first
COLLAPSED_MOST = 16384  #: elements, more than which they should not have, to stay in the cache
REPEATED = 32768  #: elements, up to which a number is repeated as often as there are elements
ROWS = 32  #: rows, fewer than which nothing is gained

# Products: `spiral`.
DOT_ELEMENTS = 4096  #: elements of a product, up to which filling them with zeros costs less than `dot` saves

# Memory: `mnist` (what is kept), and the C library's allocator.
ALIGNMENT = 64  #: bytes, of a cache line
KEPT = 8 << 20  #: bytes: smaller arenas are kept from call to call, larger ones within a run
PACKS = 4  #: runs whose packed parameters are remembered

# Specializations: `mnist`, whose last batch of an epoch is shorter.
PROGRAMS = 64  #: of one function, for as many forms of its arguments; it runs as it is for others
RECENT = 2  #: of those, tried before the form of the arguments is asked for

# Recurrences: an LSTM of 16 units over 30 to 200 steps, on 30 rows.
UNROLLED = 64  #: steps, up to which each step is traced: a longer recurrence is called at run time
UNROLLED_ON_GPU = 512  #: there, a call at run time keeps a step from being one CUDA graph
TOGETHER = 16  #: steps of a longer one that are compiled as one program: to call it costs some 10 µs

# Kernels of our own for a GPU. These are counted, not yet measured: see `launches`.
THREADS = 256  #: in a block
BLOCKS = 2048  #: of threads, at most: each thread then takes several elements
WARP = 32  #: numbers in a row, up to which one thread goes through it; and threads that share a longer one
COLUMNS = 8  #: of float32, side by side, are the 32 bytes that a GPU reads at once
# The bias gradient of `drop` (3000 rows of 512, 6 MB) would be 94 numbers a thread, by 64 blocks, half as many as an
# H100 has processors: it should take longer than a product with ones, which is a launch of its own.
LANE = 64  #: numbers that a thread adds up, at most
REDUCTIONS = 16  #: in one group: each takes 2 KB of a block's shared memory
ARGUMENTS = 400  #: of a launch: CUDA takes 4 KB
OPERATIONS = 200  #: of a kernel, more than which stays as it is: what is read a second time is computed again
NEAR = 64  #: steps, further than which a group does not reach
PUT_OFF = 16 << 20  #: bytes that are kept for launches that are put off
