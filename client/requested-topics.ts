/** The topics that a page requests, in the URL and beside it. The URL loses them, because they may change. */
export function requestedTopics(url: URL, topics: readonly string[] = []): Set<string> {
  const named = [...url.searchParams.getAll('topics'), ...topics].join()
  url.searchParams.delete('topics')
  return new Set(named.match(/[^,]+/g))
}
