// Every clock: route, idle, request, headers, tries, streams, connections.

import {
  answer,
  bootstrap,
  cluster,
  FRIEND,
  get,
  http,
  httpOptions,
  request,
  routes,
  STATS,
  TRUSTING,
  to,
} from '../config.ts';
import type { Group, Scenario } from '../types.ts';

const SLOW_MS = 1_500;
const slow = { a: { replies: [[{ waitMs: SLOW_MS }, answer('200 OK')]] } };
const half = { a: { replies: [['HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf', { waitMs: SLOW_MS }]] } };
const retry = (config: object): object => ({
  timeout: '5s',
  retry_policy: { retry_back_off: { base_interval: '0.01s' }, ...config },
});

export const timeouts: Group = {
  name: 'timeouts',
  listeners: [
    'main',
    'idle',
    'request',
    'heads',
    'stream',
    'duration',
    'age',
    'few',
    'delayed',
    'grace',
    'resting',
    'safe',
  ],
  upstreams: ['a'],
  bootstrap: (ports, log) => {
    const list = routes([
      to('/timeout', 'a', { timeout: '0.4s' }),
      to('/never', 'a', { timeout: '0s' }),
      to('/route-idle', 'a', { timeout: '0s', idle_timeout: '0.4s' }),
      to('/duration', 'a', { timeout: '0s', max_stream_duration: { max_stream_duration: '0.4s' } }),
      to('/try-idle', 'a', retry({ retry_on: 'retriable-4xx', per_try_idle_timeout: '0.4s' })),
      to('/try', 'a', retry({ retry_on: 'retriable-4xx', per_try_timeout: '0.4s' })),
      to('/tries', 'a', retry({ retry_on: '5xx', num_retries: 1, per_try_timeout: '0.4s' })),
      to('/', 'a'),
    ]);
    const manager = (name: string, extra: object): object => http(ports, log, name, list, extra);
    return bootstrap(
      ports,
      [
        manager('main', TRUSTING),
        manager('idle', {
          drain_timeout: '0.05s',
          delayed_close_timeout: '0.1s',
          common_http_protocol_options: { idle_timeout: '0.4s' },
        }),
        manager('request', { request_timeout: '0.15s' }),
        manager('heads', { request_headers_timeout: '0.15s' }),
        manager('stream', { stream_idle_timeout: '0.4s' }),
        manager('duration', { common_http_protocol_options: { max_stream_duration: '0.4s' } }),
        manager('age', {
          common_http_protocol_options: { max_connection_duration: '0.5s' },
          drain_timeout: '0.05s',
          delayed_close_timeout: '0.1s',
        }),
        manager('grace', {
          common_http_protocol_options: { max_connection_duration: '0.4s' },
          drain_timeout: '0.6s',
          delayed_close_timeout: '0.1s',
        }),
        manager('resting', {
          common_http_protocol_options: { idle_timeout: '0.3s' },
          drain_timeout: '1.5s',
          delayed_close_timeout: '0.1s',
        }),
        manager('safe', {
          common_http_protocol_options: { max_connection_duration: '0.4s' },
          http1_safe_max_connection_duration: true,
        }),
        manager('few', { common_http_protocol_options: { max_requests_per_connection: 2 } }),
        manager('delayed', { delayed_close_timeout: '0.1s', request_headers_timeout: '0.1s' }),
      ],
      [cluster('a', [ports['a']], httpOptions({}, { max_requests_per_connection: 3 }))],
    );
  },
  stats: STATS,
  scenarios: [
    { name: 'route timeout before an answer', client: [get('/timeout')], upstreams: slow },
    { name: 'route timeout within an answer', client: [get('/timeout')], upstreams: half },
    {
      name: 'route timeout starts after the request',
      client: [request('POST', '/timeout', ['content-length: 2'], 'a'), { waitMs: 500 }, 'b'],
    },
    {
      name: 'timeout by header',
      client: [get('/never', FRIEND, 'x-envoy-upstream-rq-timeout-ms: 400')],
      upstreams: slow,
    },
    {
      name: 'timeout answered 204 by header',
      client: [get('/timeout', FRIEND, 'x-envoy-upstream-rq-timeout-alt-response: 1')],
      upstreams: slow,
    },
    { name: 'route idle timeout before an answer', client: [get('/route-idle')], upstreams: slow },
    { name: 'route idle timeout within an answer', client: [get('/route-idle')], upstreams: half },
    { name: 'route stream duration', client: [get('/duration')], upstreams: slow },
    { name: 'per-try timeout without retries', client: [get('/try')], upstreams: slow },
    { name: 'per-try timeout, every try', client: [get('/tries')], upstreams: slow },
    {
      name: 'per-try timeout, second try answers',
      client: [get('/tries')],
      upstreams: { a: { replies: [[{ waitMs: SLOW_MS }], [answer('200 OK', [], 'second')]] } },
    },
    {
      name: 'per-try timeout by header',
      client: [get('/never', FRIEND, 'x-envoy-upstream-rq-per-try-timeout-ms: 400', 'x-envoy-retry-on: retriable-4xx')],
      upstreams: slow,
    },
    { name: 'per-try idle timeout', client: [get('/try-idle')], upstreams: slow },
    {
      name: 'per-try idle timeout does not run within a request body',
      client: [request('POST', '/try-idle', ['content-length: 4'], 'ab'), { waitMs: 500 }, 'cd'],
    },
    {
      name: 'per-try idle timeout behind a slow request body',
      client: [request('POST', '/try-idle', ['content-length: 4'], 'ab'), { waitMs: 500 }, 'cd'],
      upstreams: slow,
    },
    { name: 'connection idle timeout after a request', listener: 'idle', client: [get('/')] },
    { name: 'connection idle timeout before a request', listener: 'idle', answers: 0, client: [] },
    {
      name: 'connection idle timeout does not cut a request',
      listener: 'idle',
      client: [get('/never')],
      upstreams: { a: { replies: [[{ waitMs: 500 }, answer('200 OK')]] } },
    },
    {
      name: 'request timeout within a body',
      listener: 'request',
      client: ['POST / HTTP/1.1\r\nhost: a.example\r\ncontent-length: 10\r\n\r\nhalf'],
    },
    { name: 'request timeout within a head', listener: 'request', client: ['GET / HTTP/1.1\r\nhost: a'] },
    {
      name: 'request timeout ends with the request',
      listener: 'request',
      client: [get('/never')],
      upstreams: { a: { replies: [[{ waitMs: 300 }, answer('200 OK')]] } },
    },
    { name: 'request headers timeout', listener: 'heads', client: ['GET / HTTP/1.1\r\nhost: a.example\r\nx-slow'] },
    {
      name: 'request headers timeout ends with the head',
      listener: 'heads',
      client: [request('POST', '/never', ['content-length: 4'], 'ab'), { waitMs: 250 }, 'cd'],
    },
    { name: 'stream idle timeout waiting for an answer', listener: 'stream', client: [get('/never')], upstreams: slow },
    { name: 'stream idle timeout within an answer', listener: 'stream', client: [get('/never')], upstreams: half },
    {
      name: 'stream idle timeout within a request',
      listener: 'stream',
      client: [request('POST', '/never', ['content-length: 10'], 'half')],
    },
    { name: 'stream duration of the manager', listener: 'duration', client: [get('/never')], upstreams: slow },
    { name: 'stream duration within an answer', listener: 'duration', client: [get('/never')], upstreams: half },
    { name: 'connection duration, idle', listener: 'age', client: [get('/')] },
    {
      name: 'requests are served until the drain is over',
      listener: 'grace',
      answers: 3,
      client: [get('/'), { answers: 1 }, { waitMs: 500 }, get('/'), { answers: 2 }, get('/')],
    },
    {
      name: 'idle connection is told to close before it is closed',
      listener: 'resting',
      answers: 2,
      client: [get('/'), { answers: 1 }, { waitMs: 500 }, get('/')],
    },
    { name: 'drain of a connection without requests', listener: 'grace', client: [get('/')] },
    {
      name: 'connection duration, ended with the next answer',
      listener: 'safe',
      answers: 2,
      client: [get('/'), { answers: 1 }, { waitMs: 500 }, get('/')],
    },
    {
      name: 'connection duration, next request says close',
      listener: 'age',
      answers: 2,
      client: [get('/never'), { answers: 1 }, { waitMs: 30 }, get('/never')],
      upstreams: { a: { replies: [[answer('200 OK')], [{ waitMs: 600 }, answer('200 OK')]] } },
    },
    {
      name: 'last request of a connection says close',
      listener: 'few',
      answers: 2,
      client: [get('/1'), { answers: 1 }, get('/2'), { answers: 2 }],
    },
    {
      name: 'pipelined beyond the last request',
      listener: 'few',
      answers: 2,
      client: [get('/1') + get('/2') + get('/3')],
    },
    { name: 'delayed close after a local answer', listener: 'delayed', client: ['GET / HTTP/1.1\r\nhost'] },
    {
      name: 'upstream connection used three times',
      answers: 4,
      client: [get('/1'), { answers: 1 }, get('/2'), { answers: 2 }, get('/3'), { answers: 3 }, get('/4')],
    },
  ] satisfies Scenario[],
};
