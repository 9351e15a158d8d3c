import t from 'tap';
import { ResetGuard } from '../../proxy/http/reset-guard.ts';

const LIMITS = { burst: 3, perSecond: 2, streams: 10, lifetimeSeconds: 1 };

t.test('the bucket of resets refills by whole seconds', async (t) => {
  const guard = new ResetGuard(LIMITS, 1_000);
  t.same(
    [0, 0, 0, 0].map(() => guard.onPeerReset(1_100)),
    [false, false, false, true],
  );
  const slow = new ResetGuard(LIMITS, 0);
  const verdicts = Array.from({ length: 12 }, (_, i) => slow.onPeerReset(i * 500));
  t.ok(
    verdicts.every((tooMany) => !tooMany),
    'two a second are fine for ever',
  );
});

t.test('half of the streams may be premature', async (t) => {
  const guard = new ResetGuard(LIMITS, 0);
  for (let i = 0; i < 4; i++) t.notOk(guard.onStreamOver(0, 500));
  t.ok(guard.onStreamOver(0, 500), 'even ten good ones could not make up for five');
  const mixed = new ResetGuard(LIMITS, 0);
  for (let i = 0; i < 6; i++) mixed.onStreamOver(200, 5);
  for (let i = 0; i < 5; i++) t.notOk(mixed.onStreamOver(0, 5));
  t.ok(mixed.onStreamOver(0, 5), 'six of twelve');
});

t.test('an answer or a long life is no premature end', async (t) => {
  const guard = new ResetGuard(LIMITS, 0);
  for (let i = 0; i < 50; i++) {
    t.notOk(guard.onStreamOver(503, 1));
    t.notOk(guard.onStreamOver(0, 2_000));
  }
});
