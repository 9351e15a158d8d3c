// Bodies of direct responses that are written by a format (Envoy: DirectResponseAction.body_format). They are rendered
// before the answer begins, so that nothing of the answer is known yet: its status reads as 0.

import type { DirectResponseModel } from '../config/model/route.ts';
import { compileFormat, type Formatter } from '../observe/format.ts';

export interface DirectBody {
  /** The body as configured is `%LOCAL_REPLY_BODY%`. */
  readonly render: Formatter;
  /** Empty = as that of any answer of our own. */
  readonly contentType: string;
}

/** `null` = the body is what is configured. */
export function compileDirectBody({ body, bodyFormat }: DirectResponseModel): DirectBody | null {
  if (bodyFormat === null) return null;
  const { format, contentType } = bodyFormat;
  const render = compileFormat(format);
  return {
    render: (info) => {
      info.localReplyBody = body;
      return render(info);
    },
    contentType: contentType === '' && format.kind === 'json' ? 'application/json' : contentType,
  };
}
