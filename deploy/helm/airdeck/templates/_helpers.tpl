{{- define "airdeck.name" -}}
{{- if contains "airdeck" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-airdeck" .Release.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "airdeck.selector" -}}
app.kubernetes.io/name: airdeck
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "airdeck.labels" -}}
{{ include "airdeck.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "airdeck.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}{{ else }}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "airdeck.env" -}}
{{- range list "DATABASE_URL" "REDIS_URL" "SECRET_KEY" "ENCRYPTION_KEYS" }}
- name: {{ . }}_FILE
  value: /etc/airdeck/{{ . }}
{{- end }}
- name: ALLOWED_HOSTS
  value: {{ prepend .Values.additionalHosts .Values.host | join "," | quote }}
- name: BASE_URL
  value: {{ get .Values.env "BASE_URL" | default (printf "https://%s" .Values.host) | quote }}
- name: TRUSTED_PROXY_COUNT
  value: {{ .Values.trustedProxyCount | quote }}
- name: EMAIL_HOST
  value: {{ .Values.mail.host | quote }}
- name: EMAIL_PORT
  value: {{ .Values.mail.port | quote }}
- name: EMAIL_TLS
  value: {{ .Values.mail.tls | quote }}
- name: EMAIL_FROM
  value: {{ .Values.mail.from | default (printf "Airdeck <airdeck@%s>" .Values.host) | quote }}
{{- if .Values.mail.user }}
- name: EMAIL_USER
  value: {{ .Values.mail.user | quote }}
- name: EMAIL_PASSWORD_FILE
  value: /etc/airdeck/EMAIL_PASSWORD
{{- end }}
{{- if .Values.metrics.enabled }}
- name: METRICS_PORT
  value: {{ .Values.metrics.port | quote }}
- name: METRICS_ADDRESS
  value: 0.0.0.0
{{- end }}
{{- range $name, $value := omit .Values.env "BASE_URL" }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{- define "airdeck.container" -}}
image: {{ include "airdeck.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
env:
  {{- include "airdeck.env" . | nindent 2 }}
volumeMounts:
  - {name: secrets, mountPath: /etc/airdeck, readOnly: true}
  - {name: temporary, mountPath: /tmp}
{{- end }}

{{- define "airdeck.pod" -}}
serviceAccountName: {{ include "airdeck.name" . }}
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
volumes:
  - name: secrets
    secret: {secretName: {{ .Values.existingSecret }}, defaultMode: 288}
  - name: temporary
    emptyDir: {sizeLimit: {{ .Values.temporarySize }}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* Processes of a new version start once its migrations are there. */}}
{{- define "airdeck.wait" -}}
initContainers:
  - name: wait-for-migrations
    command: [sh, -c, "until python -m console.processes migrate --check; do sleep 2; done"]
    resources:
      {{- toYaml .Values.migration.resources | nindent 6 }}
    {{- include "airdeck.container" . | nindent 4 }}
{{- end }}

{{- define "airdeck.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "airdeck.selector" .root | nindent 8 }}
        app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "airdeck.heartbeat" -}}
startupProbe:
  exec: {command: [python, -m, console.kit.heartbeat]}
  periodSeconds: 3
  timeoutSeconds: 5
  failureThreshold: 40
livenessProbe:
  exec: {command: [python, -m, console.kit.heartbeat]}
  periodSeconds: 20
  timeoutSeconds: 10
  failureThreshold: 3
{{- end }}

{{- define "airdeck.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "airdeck.name" .root }}-{{ .component }}
  labels:
    {{- include "airdeck.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
spec:
  replicas: {{ .replicas }}
  {{- if eq .component "beat" }}
  strategy: {type: Recreate}
  {{- else }}
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
  {{- end }}
  selector:
    matchLabels:
      {{- include "airdeck.selector" .root | nindent 6 }}
      app.kubernetes.io/component: {{ .component }}
  template:
    metadata:
      labels:
        {{- include "airdeck.labels" .root | nindent 8 }}
        app.kubernetes.io/component: {{ .component }}
      {{- with .root.Values.podAnnotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      {{- include "airdeck.pod" .root | nindent 6 }}
      automountServiceAccountToken: {{ and .root.Values.inCluster.enabled (ne .component "beat") }}
      terminationGracePeriodSeconds: {{ .grace }}
      {{- if ne .component "beat" }}
      {{- include "airdeck.spread" . | nindent 6 }}
      {{- include "airdeck.wait" .root | nindent 6 }}
      {{- end }}
      containers:
        - name: {{ .component }}
          args: {{ .args | toJson }}
          {{- include "airdeck.container" .root | nindent 10 }}
          resources:
            {{- toYaml .resources | nindent 12 }}
          {{- if or (eq .component "web") .root.Values.metrics.enabled }}
          ports:
            {{- if eq .component "web" }}
            - {name: http, containerPort: 8000}
            {{- end }}
            {{- if .root.Values.metrics.enabled }}
            - {name: metrics, containerPort: {{ .root.Values.metrics.port }}}
            {{- end }}
          {{- end }}
          {{- if eq .component "web" }}
          # A Service forgets a pod that ends a moment after the pod was asked to: it goes on answering for so long.
          lifecycle: {preStop: {exec: {command: [sleep, "5"]}}}
          startupProbe:
            httpGet: {path: /-/live/, port: http}
            periodSeconds: 2
            failureThreshold: 60
          livenessProbe:
            httpGet: {path: /-/live/, port: http}
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          readinessProbe:
            httpGet: {path: /-/ready/, port: http}
            periodSeconds: 5
            timeoutSeconds: 4
            failureThreshold: 2
          {{- else }}
          {{- include "airdeck.heartbeat" .root | nindent 10 }}
          {{- end }}
{{- end }}
