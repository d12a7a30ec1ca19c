{{/* The namespace of each program. */}}
{{- define "coffer.csi.namespace" -}}
{{ .Values.csi.namespace | default .Release.Namespace }}
{{- end }}

{{- define "coffer.api.namespace" -}}
{{ .Values.apiServer.namespace | default (printf "%s-api" .Release.Namespace) }}
{{- end }}

{{/* The labels that select the pods of each program. They must never change. */}}
{{- define "coffer.csi.selector" -}}
app.kubernetes.io/name: {{ .Values.csi.name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "coffer.api.selector" -}}
app.kubernetes.io/name: {{ .Values.apiServer.name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Labels of every object, besides those. */}}
{{- define "coffer.labels" -}}
app.kubernetes.io/part-of: coffer
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{- define "coffer.csi.labels" -}}
{{ include "coffer.csi.selector" . }}
{{ include "coffer.labels" . }}
{{- end }}

{{- define "coffer.api.labels" -}}
{{ include "coffer.api.selector" . }}
{{ include "coffer.labels" . }}
{{- end }}

{{/* The namespace and the labels of objects that are about both programs. */}}
{{- define "coffer.monitoring.namespace" -}}
{{ if .Values.csi.enabled }}{{ include "coffer.csi.namespace" . }}{{ else }}{{ include "coffer.api.namespace" . }}{{ end }}
{{- end }}

{{- define "coffer.monitoring.labels" -}}
app.kubernetes.io/name: coffer
app.kubernetes.io/instance: {{ .Release.Name }}
{{ include "coffer.labels" . }}
{{- end }}

{{/* Whether coffer-csi may mint tokens: "true" or nothing. */}}
{{- define "coffer.csi.mintsTokens" -}}
{{- if kindIs "bool" .Values.csi.mintTokens }}{{ if .Values.csi.mintTokens }}true{{ end }}
{{- else if not .Values.csiDriver.create }}true{{ end }}
{{- end }}

{{/* The SELinux label of coffer-csi's container, or nothing. */}}
{{- define "coffer.csi.seLinuxOptions" -}}
{{- /* OpenShift wants the namespace's own level where the SCC has none. */}}
{{- $onOpenShift := ternary (dict "type" "spc_t" "level" "s0") dict .Values.openshift.enabled }}
{{- $own := coalesce .Values.csi.seLinuxOptions .Values.csi.securityContext.seLinuxOptions dict }}
{{- with merge dict $own $onOpenShift }}
{{- toYaml . }}
{{- end }}
{{- end }}

{{/* The peers that may read metrics, as a list. */}}
{{- define "coffer.metricsFrom" -}}
{{- if .Values.networkPolicy.metricsFrom }}
{{- toYaml .Values.networkPolicy.metricsFrom }}
{{- else if .Values.serviceMonitor.enabled }}
- namespaceSelector: {}
  podSelector: {matchLabels: {app.kubernetes.io/name: prometheus}}
{{- end }}
{{- end }}

{{/* The image of a program: (list root image). */}}
{{- define "coffer.image" -}}
{{- $root := index . 0 }}{{ $image := index . 1 -}}
{{ $root.Values.image.registry }}/{{ $image.name }}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $root.Values.image.tag | default $root.Chart.AppVersion }}{{ end }}
{{- end }}

{{/* The Secret with the key of the versions. */}}
{{- define "coffer.csi.versionKey" -}}
{{ .Values.csi.versionKey.secret | default (printf "%s-csi-provider-hmac-key" (ternary "openbao" "vault" (eq .Values.csi.provider "openbao"))) }}
{{- end }}

{{- define "coffer.api.versionKey" -}}
{{ .Values.apiServer.versionKey.secret | default (include "coffer.csi.versionKey" .) }}
{{- end }}

{{/* The flags that both programs have. */}}
{{- define "coffer.args" -}}
- {{ printf "--log-level=%s" .Values.log.level }}
- {{ printf "--log-format=%s" .Values.log.format }}
{{- with .Values.vault }}
- {{ printf "--vault-mount=%s" .authMount | quote }}
{{- with .namespace }}
- {{ printf "--vault-namespace=%s" . | quote }}
{{- end }}
{{- with .tlsServerName }}
- {{ printf "--vault-tls-server-name=%s" . | quote }}
{{- end }}
{{- if or .ca.pem .ca.configMap .ca.secret }}
- --vault-tls-ca-cert=/etc/coffer/vault-ca/ca.crt
{{- end }}
{{- if .clientCertificate }}
- --vault-tls-client-cert=/etc/coffer/vault-client/tls.crt
- --vault-tls-client-key=/etc/coffer/vault-client/tls.key
{{- end }}
{{- end }}
{{- if .Values.policy }}
- --policy-file=/etc/coffer/policy/policy.yaml
{{- end }}
{{- end }}

{{/* The files that those flags name. */}}
{{- define "coffer.volumes" -}}
{{- with .Values.vault }}
{{- if or .ca.pem .ca.configMap }}
- name: vault-ca
  configMap: {name: {{ .ca.configMap | default "coffer-vault-ca" }}, items: [{key: {{ ternary .ca.key "ca.crt" (ne .ca.configMap "") }}, path: ca.crt}]}
{{- else if .ca.secret }}
- name: vault-ca
  secret: {secretName: {{ .ca.secret }}, items: [{key: {{ .ca.key }}, path: ca.crt}]}
{{- end }}
{{- with .clientCertificate }}
- name: vault-client
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- end }}
{{- if .Values.policy }}
- name: policy
  configMap: {name: coffer-policy}
{{- end }}
{{- end }}

{{- define "coffer.volumeMounts" -}}
{{- with .Values.vault }}
{{- if or .ca.pem .ca.configMap .ca.secret }}
- {name: vault-ca, mountPath: /etc/coffer/vault-ca, readOnly: true}
{{- end }}
{{- if .clientCertificate }}
- {name: vault-client, mountPath: /etc/coffer/vault-client, readOnly: true}
{{- end }}
{{- end }}
{{- if .Values.policy }}
- {name: policy, mountPath: /etc/coffer/policy, readOnly: true}
{{- end }}
{{- end }}

{{/* Checks of values that depend on each other. */}}
{{- define "coffer.validate" -}}
{{- with .Values }}
{{- if and .csi.enabled .apiServer.enabled (eq (include "coffer.csi.namespace" $) (include "coffer.api.namespace" $)) }}
{{- fail "csi.namespace and apiServer.namespace must differ: who may create Secrets in a namespace can have a token of any account there" }}
{{- end }}
{{- $surge := dig "rollingUpdate" "maxSurge" 0 .csi.updateStrategy }}
{{- if and .csi.enabled .csi.leases.enabled (not (has (toString $surge) (list "0" "0%"))) }}
{{- fail "csi.leases.enabled needs csi.updateStrategy with maxSurge: 0: one agent on a node holds its leases at a time" }}
{{- end }}
{{- if and .apiServer.hostNetwork (eq (int .apiServer.port) 10250) }}
{{- fail "apiServer.hostNetwork needs another apiServer.port: 10250 is kubelet's on the node" }}
{{- end }}
{{- if gt (len (compact (list .vault.ca.pem .vault.ca.configMap .vault.ca.secret))) 1 }}
{{- fail "vault.ca: set one of pem, configMap and secret" }}
{{- end }}
{{- if and (eq .apiServer.tls.source "secret") (not .apiServer.tls.caBundle) }}
{{- fail "apiServer.tls.source secret needs apiServer.tls.caBundle: kube-apiserver must verify the certificate" }}
{{- end }}
{{- if and (ne .apiServer.tls.source "secret") .apiServer.tls.caBundle }}
{{- fail "apiServer.tls.caBundle belongs to apiServer.tls.source secret; others set it themselves" }}
{{- end }}
{{- end }}
{{- end }}
