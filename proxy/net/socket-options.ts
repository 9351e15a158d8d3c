// `socket_options` as the configuration lists them.

import type { SocketOptionModel } from '../config/model/common.ts';
import type { SystemCalls } from './sockopt.ts';

/** Sets the options of one state, in order. @throws SystemCallError */
export function setSocketOptions(
  calls: SystemCalls,
  fd: number,
  options: readonly SocketOptionModel[],
  state: SocketOptionModel['state'],
): void {
  for (const option of options) {
    if (option.state !== state) continue;
    if (option.value.kind === 'int') calls.setInt(fd, option.level, option.name, option.value.value);
    else calls.setBytes(fd, option.level, option.name, Buffer.from(option.value.base64, 'base64'));
  }
}
