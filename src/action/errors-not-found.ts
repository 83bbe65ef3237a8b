/** The error of something that is not there, or not for whoever asks. */
import { CountersignError, type CountersignErrorOptions } from './errors.js';

/** `where` says in which tenant, or among what, where that is known. */
export function actionNotFound(actionId: string, where = '', problem: CountersignErrorOptions = {}): CountersignError {
  return new CountersignError('NOT_FOUND', `There is no action ${actionId}${where}.`, {
    field: 'actionId',
    expected: 'the id of an action of this tenant',
    fix: 'List the actions: countersign list',
    ...problem,
  });
}

export function freezeNotFound(id: string | number, where = ''): CountersignError {
  return new CountersignError('NOT_FOUND', `There is no freeze ${id}${where}.`, {
    field: 'id',
    expected: 'the number of a freeze that holds',
    fix: 'List the freezes: countersign freezes',
  });
}

export function radarAlertNotFound(id: number | string): CountersignError {
  return new CountersignError('NOT_FOUND', `The radar has no alert ${id}.`, {
    field: 'id',
    expected: 'the number of an alert',
    fix: 'List them: countersign radar list',
  });
}

export function passkeyNotFound(field: 'id' | 'credentialId'): CountersignError {
  return new CountersignError('NOT_FOUND', 'There is no such passkey.', {
    field,
    expected: 'the id of an enrolled passkey',
  });
}

export function trailNotFound(what: string, fix: string): CountersignError {
  return new CountersignError('NOT_FOUND', what, { field: 'trail', fix });
}
