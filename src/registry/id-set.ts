/** A set of whole numbers from 0, small where they lie close together, as ids of rows do. */
export interface IdSet {
  add(id: number): void
  has(id: number): boolean
  readonly size: number
  /** In order. */
  [Symbol.iterator](): Iterator<number>
}

/** Ids that one piece holds: a kilobyte. */
const PIECE = 8192

export function createIdSet(): IdSet {
  const pieces = new Map<number, Uint8Array>()
  let size = 0
  return {
    add(id) {
      const number = Math.floor(id / PIECE)
      let piece = pieces.get(number)
      if (piece === undefined) {
        piece = new Uint8Array(PIECE / 8)
        pieces.set(number, piece)
      }
      const [at, bit] = placeOf(id)
      const byte = piece[at] ?? 0
      if ((byte & bit) !== 0) return
      piece[at] = byte | bit
      size++
    },
    has(id) {
      const [at, bit] = placeOf(id)
      return ((pieces.get(Math.floor(id / PIECE))?.[at] ?? 0) & bit) !== 0
    },
    get size() {
      return size
    },
    *[Symbol.iterator]() {
      for (const number of [...pieces.keys()].sort((a, b) => a - b)) {
        for (let rest = 0; rest < PIECE; rest++) {
          const [at, bit] = placeOf(rest)
          if (((pieces.get(number)?.[at] ?? 0) & bit) !== 0) yield number * PIECE + rest
        }
      }
    },
  }
}

function placeOf(id: number): [at: number, bit: number] {
  const rest = id % PIECE
  return [rest >> 3, 1 << (rest & 7)]
}
