import t from 'tap';
import { compileText } from '../../proxy/observe/format.ts';
import { StreamInfo } from '../../proxy/observe/stream-info.ts';
import { noteConnection, noteRequestEnd } from '../../proxy/router/record.ts';
import type { UpstreamStream } from '../../proxy/upstream/upstream.ts';

const STREAM = { connectStartMs: 1010, connectEndMs: 1020, tls: null } as UpstreamStream;
const SHOWN = compileText(
  '%UPSTREAM_CONNECTION_POOL_READY_DURATION% %COMMON_DURATION(DS_RX_BEG:US_CX_BEG)% %REQUEST_TX_DURATION%',
  false,
);

function infoAt(startMs: number): StreamInfo {
  return new StreamInfo({} as StreamInfo['connection'], 0, startMs);
}

t.test('the wait for a connection is that of the attempt, not of what came before it', async (t) => {
  const info = infoAt(1000);
  noteConnection(info, STREAM, 1350, 1300, true);
  t.equal(SHOWN(info), '50 10 350');
});

t.test('a request is sent when its last part is', async (t) => {
  const info = infoAt(1000);
  noteConnection(info, STREAM, 1030, 1000, false);
  t.equal(SHOWN(info), '30 10 -', 'not yet');
  info.requestRxEndMs = 1200;
  noteRequestEnd(info);
  t.equal(SHOWN(info), '30 10 200');
  noteConnection(info, STREAM, 1400, 1390, false);
  t.equal(SHOWN(info), '10 10 -', 'another attempt begins anew');
  noteRequestEnd(info);
  t.equal(SHOWN(info), '10 10 400', 'never before the attempt itself');
});
