/** A Cache API in memory. */
export function cacheStorage(refuse?: (response: Response) => Error | undefined) {
  const kept = new Map<string, { content: Blob; status: number; headers: Headers }>();
  return {
    kept,
    open: async () => ({
      async match(url: string) {
        const found = kept.get(url);
        return found && new Response(found.status === 404 ? null : found.content, found);
      },
      async put(url: string, response: Response) {
        const error = refuse?.(response);
        if (error) throw error;
        const { status, headers } = response;
        kept.set(url, { content: await response.blob(), status, headers });
      },
      async delete(url: string) {
        return kept.delete(url);
      },
    }),
  };
}
