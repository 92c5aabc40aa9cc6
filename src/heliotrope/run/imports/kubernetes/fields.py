"""The fields of a Job manifest: those that are taken, and why others are passed over or stop it."""

from __future__ import annotations

JOB_TAKEN = frozenset({"template", "parallelism", "completions", "completionMode", "activeDeadlineSeconds", "suspend"})
JOB_PASSED = {
    "backoffLimit": "a command that fails is not tried again; what a site loses is",
    "ttlSecondsAfterFinished": "runs are kept until they are cleared",
    "podReplacementPolicy": "another attempt begins when nothing of the last one lives",
    "selector": "the engine makes its own",
    "manualSelector": "the engine makes its own",
}
JOB_REFUSED = {
    "podFailurePolicy": "which failures are tried again is not asked of exit codes here",
    "successPolicy": "each index is a job of its own",
    "backoffLimitPerIndex": "a command that fails is not tried again",
    "maxFailedIndexes": "each index is a job of its own",
    "managedBy": "it says that another controller runs the Job",
}
POD_TAKEN = frozenset({"containers", "volumes", "nodeSelector", "restartPolicy", "activeDeadlineSeconds", "os"})
POD_PASSED = {
    "affinity": "sites are chosen by the plan, nodes by their labels alone (nodeSelector)",
    "automountServiceAccountToken": "the engine's own service account holds",
    "dnsPolicy": "the cluster's own holds",
    "enableServiceLinks": "the cluster's own holds",
    "imagePullSecrets": "give them to the service account of the namespace",
    "preemptionPolicy": "sharing between organisations decides",
    "priority": "sharing between organisations decides",
    "priorityClassName": "sharing between organisations decides",
    "schedulerName": "the cluster's own holds",
    "securityContext": "the engine's pod has its image's user and rights",
    "serviceAccount": "the engine's own holds",
    "serviceAccountName": "the engine's own holds",
    "terminationGracePeriodSeconds": "the engine gives 60 s",
    "tolerations": "a tainted node will not take it",
    "topologySpreadConstraints": "sites are chosen by the plan",
}
POD_REFUSED = {
    "initContainers": "only one command is run, measured and proven",
    "ephemeralContainers": "only one command is run, measured and proven",
    "resourceClaims": "devices are asked for by their number",
    "hostNetwork": "the engine's pod has a network of its own",
    "hostPID": "the engine's pod sees its own processes alone",
    "hostIPC": "the engine's pod has memory of its own",
    "hostAliases": "names are the cluster's",
    "hostname": "names are the cluster's",
    "subdomain": "names are the cluster's",
    "nodeName": "nodes are chosen by their labels (nodeSelector)",
    "runtimeClassName": "the cluster's own holds",
    "shareProcessNamespace": "there is one container",
}
CONTAINER_TAKEN = frozenset({"name", "image", "command", "args", "env", "resources", "workingDir", "volumeMounts"})
CONTAINER_PASSED = {
    "imagePullPolicy": "the cluster's own holds",
    "ports": "nothing reaches into a job",
    "securityContext": "the engine's pod has its image's user and rights",
    "stdin": "a job has none",
    "terminationMessagePath": "output is kept with the run",
    "terminationMessagePolicy": "output is kept with the run",
    "tty": "a job has none",
}
CONTAINER_REFUSED = {
    "envFrom": "what a ConfigMap or a Secret holds is not known here; write env with values",
    "lifecycle": "only one command is run, measured and proven",
    "livenessProbe": "a job is alive until its command ends",
    "readinessProbe": "a job is alive until its command ends",
    "startupProbe": "a job is alive until its command ends",
    "restartPolicy": "it makes the container a sidecar",
    "volumeDevices": "work sees the directory that its site shares, at the same path everywhere",
}
METADATA_PASSED = {
    "annotations": "they are for the cluster's own tools",
    "creationTimestamp": "it is the cluster's word on an earlier run",
    "finalizers": "nothing here waits for them",
    "generation": "it is the cluster's word on an earlier run",
    "managedFields": "it is the cluster's word on an earlier run",
    "namespace": "the site's own namespace holds",
    "ownerReferences": "nothing here belongs to another object",
    "resourceVersion": "it is the cluster's word on an earlier run",
    "selfLink": "it is the cluster's word on an earlier run",
    "uid": "it is the cluster's word on an earlier run",
}
