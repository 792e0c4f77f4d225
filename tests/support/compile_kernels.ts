/** Sources run with the kernels of the CPU engine compiled as they are now. */
export default async function setup(): Promise<void> {
  // The scripts run before anything is compiled: they have no types.
  const script: string = "../../scripts/compile_kernels.mjs";
  const { ensureCompiledKernels } = (await import(script)) as { ensureCompiledKernels(): Promise<void> };
  await ensureCompiledKernels();
}
