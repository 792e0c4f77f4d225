// Memory that kernels may use beside their tensors. The engine sets the pointers; see core/cpu/README.md.

/** Of this thread alone, LOCAL_BYTES long. What it holds is lost between two calls. */
export let local: usize = 0;
/** Of the call, the same for all its threads and for both its passes: as long as NAME_scratch asks for. */
export let scratch: usize = 0;
