// HTTP's outcome in gRPC's words (Envoy: source/common/grpc/status.cc; grpc/doc/http-grpc-status-mapping.md).

/** HTTP status → gRPC status of an answer that is not gRPC. */
const GRPC_STATUS: ReadonlyMap<number, number> = new Map([
  [400, 13],
  [401, 16],
  [403, 7],
  [404, 12],
  [429, 14],
  [502, 14],
  [503, 14],
  [504, 14],
]);
const UNKNOWN = 2;

/** gRPC's code for an HTTP status. */
export function grpcStatusOf(status: number): number {
  return GRPC_STATUS.get(status) ?? UNKNOWN;
}

/** A `grpc-message` value: printable ASCII but `%` stands as it is. @param latin1 image of the bytes */
export function grpcMessage(latin1: string): string {
  return latin1.replace(
    /[^\x20-\x24\x26-\x7e]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
}
