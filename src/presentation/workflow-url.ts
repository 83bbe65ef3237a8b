/** Where an action can be looked at in the Temporal UI. */

/** `uiUrl`: where the UI is, with or without a slash at the end. */
export function workflowUrl(
  { uiUrl, namespace }: { readonly uiUrl: string; readonly namespace: string },
  { tenant, actionId }: { readonly tenant: string; readonly actionId: string },
): string {
  const workflow = encodeURIComponent(`${tenant}/${actionId}`);
  return `${uiUrl.replace(/\/+$/, '')}/namespaces/${encodeURIComponent(namespace)}/workflows/${workflow}`;
}
