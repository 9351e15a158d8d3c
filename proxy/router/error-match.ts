// Which answers are errors of their host, where outlier detection has a matcher of its own for that.

import { HeaderMap } from '../codec/headers.ts';
import type { HeaderMatchModel } from '../config/model/headers.ts';
import type { ErrorMatchModel } from '../config/model/outlier.ts';
import type { StreamInfo } from '../observe/stream-info.ts';
import type { IsError } from '../upstream/outlier-monitor.ts';
import { compileHeaderMatch } from './match.ts';

export function compileErrorMatch(model: ErrorMatchModel): IsError {
  switch (model.kind) {
    case 'any':
      return () => true;
    case 'never':
      return () => false;
    case 'not': {
      const rule = compileErrorMatch(model.rule);
      return (status, headers) => !rule(status, headers);
    }
    case 'all_of': {
      const rules = model.rules.map(compileErrorMatch);
      return (status, headers) => rules.every((rule) => rule(status, headers));
    }
    case 'any_of': {
      const rules = model.rules.map(compileErrorMatch);
      return (status, headers) => rules.some((rule) => rule(status, headers));
    }
    case 'headers': {
      const rules = model.headers.map(compileAnswerMatch);
      return (status, headers) => rules.every((rule) => rule(status, headers));
    }
  }
}

/** A matcher of an answer's head, which has one pseudo-header; that stands beside the others here. */
export function compileAnswerMatch(model: HeaderMatchModel): (status: number, headers: HeaderMap) => boolean {
  if (!model.name.startsWith(':')) {
    const matches = compileHeaderMatch(model);
    return (_status, headers) => matches(NO_REQUEST, headers);
  }
  const matches = compileHeaderMatch({ ...model, name: model.name.slice(1) });
  const pseudo = new HeaderMap();
  return (status) => {
    pseudo.set('status', `${status}`);
    return matches(NO_REQUEST, pseudo);
  };
}

/** Matchers of plain headers do not ask about the request. */
const NO_REQUEST = null as unknown as StreamInfo;
