// gRPC status codes as HTTP statuses, for who judges a host by its answers.

/** By code, 0 to 16 (google.rpc.Code). */
const HTTP_STATUSES: readonly number[] = [
  200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
];

/** @param code as `grpc-status` says it; what is none is an internal error */
export function httpStatusOfGrpc(code: string): number {
  return (/^\d+$/.test(code) ? HTTP_STATUSES[Number(code)] : undefined) ?? 500;
}
