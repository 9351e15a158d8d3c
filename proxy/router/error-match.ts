// Which answers are errors of their host, where outlier detection has a matcher of its own for that.

import type { ErrorMatchModel } from '../config/model/outlier.ts';
import { compileAnswerMatch } from '../match/head.ts';
import type { IsError } from '../upstream/outlier-monitor.ts';

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
