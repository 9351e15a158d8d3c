// The `date` header's value (RFC 9110 §5.6.7), formatted once a second.

/** A cached formatter over a wall clock. */
export class HttpDate {
  private readonly wallMs: () => number;
  private second: number;
  private text: string;

  /** @param wallMs milliseconds since the epoch */
  constructor(wallMs: () => number = Date.now) {
    this.wallMs = wallMs;
    this.second = -1;
    this.text = '';
  }

  httpDate(): string {
    const second = Math.floor(this.wallMs() / 1000);
    if (second !== this.second) {
      this.second = second;
      this.text = new Date(second * 1000).toUTCString();
    }
    return this.text;
  }
}
