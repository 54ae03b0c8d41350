"""Why an action on a Deployment does nothing. Each has the sentence that every way of asking shows."""

from collections.abc import Mapping

from console.kit.refusals import ActionRefused
from deployments.clusters.options import RUNTIME_NOT_OFFERED
from deployments.domain.field_values import FieldValues


class NotNow(ActionRefused):
    """The change cannot be made in the Deployment's present state."""

    code = "not_now"


class KeyReused(ActionRefused):
    """The Idempotency-Key was sent before with something else."""

    code, status = "idempotency_key_reused", 409

    def __init__(self, what: str) -> None:
        super().__init__(f"This Idempotency-Key made another {what} already. Send a new key.")


class WorkspaceGone(ActionRefused):
    """The Workspace was deleted while something was created in it."""

    code, status = "workspace_gone", 404

    def __init__(self) -> None:
        super().__init__("This Workspace was deleted.")


class NameTaken(ActionRefused):
    """Another existing Deployment of the Workspace has this name, letter case aside."""

    code, field = "name_taken", "name"

    def __init__(self, sentence: str = "", *, field: str | None = None) -> None:
        super().__init__(
            sentence or "Enter a name that no other Deployment in this Workspace uses.", field=field
        )


class ClusterClosed(ActionRefused):
    """The cluster is not open to the Workspace, or not any more."""

    code, field = "cluster_closed", "cluster"

    def __init__(self, sentence: str = "", *, field: str | None = None) -> None:
        super().__init__(sentence or "Choose a cluster that is open to this Workspace.", field=field)


class NotOpenToYou(ActionRefused):
    """The actor may not create Deployments in the target Workspace."""

    code, status, field = "workspace_not_open", 403, "workspace"


class RuntimeNotOffered(ActionRefused):
    """The runtime is not newer than the Deployment's own, or an operator took it out of the offer."""

    code, status, field = "runtime_not_offered", 422, "runtime"

    def __init__(self) -> None:
        super().__init__(RUNTIME_NOT_OFFERED)


class QueueExists(ActionRefused):
    """The Deployment has a worker queue of this name."""

    code, field = "queue_exists", "name"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is a queue {name} already. Enter another name.")


class QueueGone(ActionRefused):
    """The Deployment has no worker queue of this name, or not any more."""

    code, status = "queue_gone", 404

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no worker queue {name}.")


class RevisionGone(ActionRefused):
    """The Deployment has no such revision of its variables, or not any more."""

    code, status = "revision_gone", 404

    def __init__(self, number: int) -> None:
        super().__init__(f"There is no revision {number} of the variables.")


class EditConflict(ActionRefused):
    """Another person saved after this form was shown. `now` is what is stored."""

    code = "changed"

    def __init__(self, now: FieldValues) -> None:
        super().__init__(
            "Another person changed this in the meantime. Look at what is stored now, then try again."
        )
        self.now = now


class VariableRefused(ActionRefused):
    """A variable breaks a rule. `field` is "key", "value" or "" for all of them."""

    code, status = "variable_refused", 422


class VariablesChanged(ActionRefused):
    """Another person changed what this change of variables was based on."""

    code = "changed"

    def __init__(self) -> None:
        super().__init__("The variables changed in the meantime. Look at what there is now, then try again.")


class NothingToDeploy(ActionRefused):
    """The code, or the image, is what the Deployment runs already, or is about to run."""

    code = "nothing_to_deploy"

    def __init__(self, number: int, *, what: str = "code") -> None:
        super().__init__(f"This is the {what} of deploy {number} already. There is nothing to do.")
        self.number = number


class CodeChanged(ActionRefused):
    """A person deployed, or changed the DAGs folder, after the difference was shown."""

    code = "changed"

    def __init__(self) -> None:
        super().__init__(
            "Another person deployed in the meantime. Look at the difference to what there is now, then try again."
        )


class GitConnected(ActionRefused):
    """The Deployment has a Git source already."""

    code = "git_connected"

    def __init__(self) -> None:
        super().__init__(
            "This Deployment is connected to a repository already. Change it, or disconnect it first."
        )


class GitNotConnected(ActionRefused):
    """The Deployment has no Git source, or not any more."""

    code, status = "git_not_connected", 404

    def __init__(self) -> None:
        super().__init__("This Deployment is not connected to a Git repository.")


class GitChanged(ActionRefused):
    """Another person changed the Git source, or the server shows another key, since the page was shown."""

    code = "changed"

    def __init__(self) -> None:
        super().__init__("The Git source changed in the meantime. Look at what there is now, then try again.")


class HasCode(ActionRefused):
    """The example is for a Deployment that has no code."""

    code = "has_code"

    def __init__(self) -> None:
        super().__init__("This Deployment has code already. The example is for one that has none.")


class PackagesInCode(ActionRefused):
    """The code has a requirements.txt, and on its cluster packages come with the image."""

    code, status = "packages_in_code", 422

    def __init__(self) -> None:
        super().__init__(
            "requirements.txt names packages, and on Kubernetes packages come with the image. Put them into an image "
            "of your own and deploy that, and leave the file out: write requirements.txt into .airdeckignore."
        )


class NoImagesHere(ActionRefused):
    """Its cluster runs Airflow without images."""

    code = "no_images_here"

    def __init__(self) -> None:
        super().__init__(
            "This cluster runs Airflow without images. Put the packages that you need into requirements.txt and deploy "
            "that."
        )


class RuntimesImage(ActionRefused):
    """There is no image of its own to go back from."""

    code = "runtimes_image"

    def __init__(self) -> None:
        super().__init__("This Deployment runs the image of its runtime already. There is nothing to do.")


class CodeNotKept(ActionRefused):
    """The code of that deploy is not kept any more."""

    code, status = "code_not_kept", 410

    def __init__(self, number: int) -> None:
        super().__init__(f"The code of deploy {number} is no longer kept. Upload it again.")


class CodeNotTaken(ActionRefused):
    """The archive, its requirements.txt, or what the DAGs folder holds breaks a rule of `domain.code_archive`, whose
    sentence it is."""

    code, status, field = "code_refused", 422, "file"


class RequirementsRefused(ActionRefused):
    """The requirements.txt of the code holds what is not taken."""

    code, status = "requirements_refused", 422


class FileRefused(ActionRefused):
    """The deployment file asks for what cannot be. `problems` has a sentence for each path in it."""

    code, status = "file_refused", 422

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__(
            " ".join(f"{path}: {sentence}" if path else sentence for path, sentence in problems.items())
        )
        self._problems = dict(problems)

    @property
    def problems(self) -> Mapping[str, str]:
        """Every sentence, by its path in the file."""
        return self._problems


class PlanStale(ActionRefused):
    """The Deployment changed after the plan was shown."""

    code = "changed"

    def __init__(self) -> None:
        super().__init__(
            "This Deployment changed after the plan was made. Look at the new plan, then apply again."
        )


class AlreadyThere(ActionRefused):
    """A Deployment was to be created, and one of this name is there."""

    code = "exists"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is a Deployment {name} already. Use deployment apply or deployment update.")


class NotThere(ActionRefused):
    """A Deployment was to be changed, and none of this name is there."""

    code, status = "missing", 404

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no Deployment {name}. Use deployment apply or deployment create.")


class AlertRuleGone(ActionRefused):
    """The rule of alerts was removed already."""

    code, status = "alert_rule_gone", 404

    def __init__(self) -> None:
        super().__init__("This rule was removed already.")


class TooManyAlertRules(ActionRefused):
    """There are as many rules as there may be."""

    code = "too_many_alert_rules"

    def __init__(self) -> None:
        super().__init__("There are too many alert rules here. Remove one first.")


class AlertChannelGone(ActionRefused):
    """The channel of alerts was removed already."""

    code, status = "alert_channel_gone", 404

    def __init__(self) -> None:
        super().__init__("This channel was removed already.")


class AlertChannelExists(ActionRefused):
    """Another channel of the Workspace has this name."""

    code, field = "alert_channel_exists", "name"

    def __init__(self) -> None:
        super().__init__("Enter a name that no other channel of this Workspace has.")


class TooManyAlertChannels(ActionRefused):
    """There are as many channels as there may be."""

    code = "too_many_alert_channels"

    def __init__(self) -> None:
        super().__init__("There are too many channels in this Workspace. Remove one first.")


class AlertGone(ActionRefused):
    """The alert was resolved in the meantime, or what was sent of it is no longer kept."""

    code, status = "alert_gone", 404

    def __init__(self, sentence: str = "This alert is over. Reload the page.") -> None:
        super().__init__(sentence)


class DeliveryUnderWay(ActionRefused):
    """The message is being sent, or was sent a moment ago."""

    code = "delivery_under_way"

    def __init__(self) -> None:
        super().__init__("This message is on its way already, or was sent a moment ago.")
