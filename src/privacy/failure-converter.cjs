/** Puts messages and stack traces of failures where the codec encrypts them. The SDK takes a file that it can `require`. */
'use strict';
const { DefaultFailureConverter } = require('@temporalio/common');

exports.failureConverter = new DefaultFailureConverter({ encodeCommonAttributes: true });
