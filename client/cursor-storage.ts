/** Where a cursor outlives its page: `sessionStorage`, or anything alike. */
export interface CursorStorage {
  getItem(key: string): string | null
  setItem(key: string, value: string): void
}
