/** Notifications: they tell people that an approval request waits for them. */
export { webhook, type WebhookOptions } from './webhook.js';
export { slack, type SlackOptions } from './slack.js';
export { email, type EmailOptions } from './email.js';
export type { Channel } from './channel.js';
export { undelivered } from './channel.js';
export { DEFAULT_KINDS, Notifier } from './notifier.js';
export type { NotificationsConfig, Route } from '../config/notifications.js';
export { NOTICE_KINDS, type Notice } from './notice.js';
