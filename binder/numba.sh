# Where the compiled code of UMAP is kept, and for which processor. Sourced by postBuild and by start: what the one
# compiles, the other finds. "generic", because images are built on one processor and run on others, and numba compiles
# anew for each.
export NUMBA_CACHE_DIR="$HOME/.cache/chroma_nb/numba"
export NUMBA_CPU_NAME=generic
