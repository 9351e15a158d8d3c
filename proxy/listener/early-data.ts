// What a client sends before its upstream is there, where the TCP proxy reads it already (Envoy: `max_early_data_bytes`).

/** See the head of this file. */
export class EarlyData {
  /** More is not asked for; what has been read beyond it is kept too. Bytes. */
  private readonly limit: number;
  private chunks: Buffer[];
  private bytes: number;

  constructor(limit: number) {
    this.limit = limit;
    this.chunks = [];
    this.bytes = 0;
  }

  /** Copies what is only lent. @returns whether more may come */
  add(chunk: Buffer): boolean {
    this.chunks.push(Buffer.from(chunk));
    this.bytes += chunk.length;
    return this.bytes <= this.limit;
  }

  get empty(): boolean {
    return this.bytes === 0;
  }

  get full(): boolean {
    return this.bytes > this.limit;
  }

  /** All of it, once; `null` = nothing came. */
  take(): Buffer | null {
    const { chunks } = this;
    this.chunks = [];
    return chunks.length === 0 ? null : Buffer.concat(chunks);
  }
}
