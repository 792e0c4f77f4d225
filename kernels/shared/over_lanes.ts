const file = (name: string) => new URL(`./${name}.wgsl`, import.meta.url);

/** Puts together what lanes found in workgroup memory. */
export const OVER_LANES = file("over_lanes");
/** The same by subgroups. */
export const OVER_SUBGROUPS = file("over_lanes.subgroups");

/** A shader that puts together what its lanes found: by subgroups where there are any, and without them. */
export function overLanes<Variant extends { readonly includes: readonly URL[] }>(
  variant: Variant,
  [bySubgroups, portable] = ["subgroups", "portable"],
) {
  const { includes } = variant;
  return [
    {
      ...variant,
      label: bySubgroups,
      includes: [...includes, OVER_SUBGROUPS],
      needs: ["subgroups"] as const,
    },
    { ...variant, label: portable, includes: [...includes, OVER_LANES] },
  ];
}
