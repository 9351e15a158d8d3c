// Compiles a string matcher of the stats configuration. Not for the data path.

import type { StringMatchModel } from '../config/model/common.ts';

/** A test for one matcher; a regular expression must match in full. */
export function stringMatcher(model: StringMatchModel): (text: string) => boolean {
  const test = compile(model);
  return model.ignoreCase ? (text) => test(text.toLowerCase()) : test;
}

function compile({ kind, value, ignoreCase }: StringMatchModel): (text: string) => boolean {
  switch (kind) {
    case 'exact':
      return (text) => text === value;
    case 'prefix':
      return (text) => text.startsWith(value);
    case 'suffix':
      return (text) => text.endsWith(value);
    case 'contains':
      return (text) => text.includes(value);
    case 'regex': {
      const regex = new RegExp(`^(?:${value})$`, ignoreCase ? 'i' : '');
      return (text) => regex.test(text);
    }
  }
}
