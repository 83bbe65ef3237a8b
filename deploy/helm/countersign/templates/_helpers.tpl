{{/* What every pod of ours has in common. Each takes a dict: root, and the component's name. */}}

{{- define "countersign.labels" -}}
app.kubernetes.io/name: countersign
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "countersign.image" -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag }}{{ end }}
{{- end }}

{{- define "countersign.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 1000
  runAsGroup: 1000
  fsGroup: 1000
  seccompProfile: { type: RuntimeDefault }
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "countersign.labels" . | nindent 8 }}
{{- end }}

{{- define "countersign.container" -}}
image: {{ include "countersign.image" .root.Values.image }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
{{- end }}

{{- define "countersign.env" -}}
- { name: COUNTERSIGN_ENV, value: production }
- { name: TEMPORAL_ADDRESS, value: {{ .root.Values.temporal.address | quote }} }
- { name: TEMPORAL_NAMESPACE, value: {{ .root.Values.temporal.namespace | quote }} }
- { name: COUNTERSIGN_TASK_QUEUE, value: {{ .taskQueue | default .root.Values.temporal.taskQueue | quote }} }
- { name: COUNTERSIGN_LEDGER_URL_FILE, value: /run/secrets/ledger/url }
{{- if .root.Values.temporal.apiKey.secret }}
- { name: TEMPORAL_API_KEY_FILE, value: /run/secrets/temporal-api-key/api-key }
{{- end }}
{{- if .root.Values.temporal.tls.secret }}
- { name: TEMPORAL_TLS_CLIENT_CERT_PATH, value: /run/secrets/temporal-tls/tls.crt }
- { name: TEMPORAL_TLS_CLIENT_KEY_PATH, value: /run/secrets/temporal-tls/tls.key }
{{- if .root.Values.temporal.tls.ca }}
- { name: TEMPORAL_TLS_SERVER_CA_CERT_PATH, value: /run/secrets/temporal-tls/ca.crt }
{{- end }}
{{- end }}
{{- with .root.Values.temporal.tls.serverName }}
- { name: TEMPORAL_TLS_SERVER_NAME, value: {{ quote . }} }
{{- end }}
{{- end }}

{{- define "countersign.mounts" -}}
- { name: tmp, mountPath: /tmp }
- { name: ledger, mountPath: /run/secrets/ledger, readOnly: true }
{{- if .root.Values.temporal.apiKey.secret }}
- { name: temporal-api-key, mountPath: /run/secrets/temporal-api-key, readOnly: true }
{{- end }}
{{- if .root.Values.temporal.tls.secret }}
- { name: temporal-tls, mountPath: /run/secrets/temporal-tls, readOnly: true }
{{- end }}
{{- end }}

{{- define "countersign.volumes" -}}
- { name: tmp, emptyDir: { sizeLimit: 64Mi } }
- name: ledger
  secret:
    secretName: {{ .root.Values.ledger.url.secret }}
    items: [{ key: {{ .root.Values.ledger.url.key }}, path: url }]
{{- with .root.Values.temporal.apiKey }}
{{- if .secret }}
- name: temporal-api-key
  secret:
    secretName: {{ .secret }}
    items: [{ key: {{ .key }}, path: api-key }]
{{- end }}
{{- end }}
{{- with .root.Values.temporal.tls.secret }}
- name: temporal-tls
  secret: { secretName: {{ . }} }
{{- end }}
{{- end }}

{{- define "countersign.keys" -}}
- name: keys
  secret:
    secretName: {{ .secret }}
    # With the pod's own group, which may read (0440): a key file that anybody else can read is refused.
    # 0400
    defaultMode: 256
    items: [{ key: {{ .key }}, path: keys.json }]
{{- end }}
