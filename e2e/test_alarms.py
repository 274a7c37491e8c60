"""The alarms and the dashboard as they are deployed: each alarm's metric is driven over its line, and somebody hears it."""

import json
import time

import pytest

from emulated_aws import ROOT, Inbox, aws
from polling import wait_for

# The emulator evaluates an alarm by its metric's name alone, whatever the dimensions, and no alarm of an expression. So who
# goes off is asked here of the figures that CloudWatch would look at, and of the emulator whether it is announced.
NOT_DRIVEN = {"sweeper-silent": "no metric goes over its line: the alarm is about a metric that is missing"}


@pytest.fixture(scope="module")
def alarms(deployment) -> dict[str, dict]:
    """Every alarm of the deployment by its name, less the deployment's: as AWS is told of it, not as the emulator recalls it."""
    deployment.terraform("plan", "-input=false", "-refresh=false", "-out=alarms")
    shown = json.loads(deployment.terraform("show", "-json", "alarms").stdout)
    made = [it["values"] for it in shown["planned_values"]["root_module"]["resources"] if it["type"] == "aws_cloudwatch_metric_alarm"]
    return {alarm["alarm_name"].removeprefix("pressrun-e2e-"): alarm for alarm in made}


def test_every_alarm_goes_off_when_its_metric_is_over_its_line(alarms):
    single = {name: alarm for name, alarm in alarms.items() if alarm["metric_name"] and name not in NOT_DRIVEN}
    assert len(alarms) == 21 and set(alarms) - set(single) == {"failed-jobs", *NOT_DRIVEN}
    for name, alarm in single.items():
        # What another deployment's metric does is not what the alarm is about.
        put(alarm, alarm["threshold"] + 1000, {dimension: "another" for dimension in alarm["dimensions"]})
        assert max(figures(alarm), default=0) < alarm["threshold"] + 1000, name
        put(alarm, alarm["threshold"] + 1, alarm["dimensions"])
        assert alarm["comparison_operator"] == "GreaterThanThreshold" and max(figures(alarm)) > alarm["threshold"], name
        assert state(alarm) == "ALARM", name


def test_failed_jobs_are_heard_of_by_their_share_and_not_one_by_one(alarms):
    alarm = alarms["failed-jobs"]
    queries = {query["id"]: query for query in alarm["metric_query"]}
    share = queries.pop("share")
    sums = {name: query["metric"][0] for name, query in queries.items()}
    emitted = {metric["name"] for metric in json.loads((ROOT / "resources/metrics.json").read_text())["metrics"]}
    for name, metric in sums.items():
        assert metric["metric_name"] == name and name in emitted
        assert (metric["namespace"], metric["dimensions"], metric["stat"]) == ("Pressrun", {"service": "pressrun-e2e"}, "Sum")

    def goes_off(failed: float, completed: float | None) -> bool:
        """The expression with CloudWatch's functions of the same names; a sum that is missing is None."""
        functions = {
            "IF": lambda condition, then, otherwise: then if condition else otherwise,
            "FILL": lambda value, instead: instead if value is None else value,
        }
        figures_of_it = {"failed": failed, "completed": completed}
        return eval(share["expression"], {"__builtins__": {}}, functions | figures_of_it) > alarm["threshold"]

    assert goes_off(failed=3, completed=None) and goes_off(failed=3, completed=26)
    assert not goes_off(failed=3, completed=27) and not goes_off(failed=2, completed=0)

    # The two sums as CloudWatch makes them of what the functions emit.
    for name, values in {"completed": [20], "failed": [1, 1, 1]}.items():
        for value in values:
            put(sums[name], value, sums[name]["dimensions"])
    assert goes_off(**{name: max(figures(metric | {"statistic": metric["stat"]})) for name, metric in sums.items()})


def test_a_sweeper_without_metrics_is_heard_of(alarms):
    alarm = alarms["sweeper-silent"]
    assert (alarm["metric_name"], alarm["statistic"], alarm["comparison_operator"], alarm["threshold"]) == (
        "Invocations", "Sum", "LessThanThreshold", 1,
    )
    assert {name for name, other in alarms.items() if other["treat_missing_data"] == "breaching"} == {"sweeper-silent"}


def test_alarms_are_announced_with_their_runbook_to_a_topic_of_their_own(deployment, alarms):
    topic = deployment.outputs["alarm_topic_arn"]
    assert topic != deployment.outputs["topic_arn"]
    url = Inbox(topic, name="pressrun-e2e-alarms").url
    aws("cloudwatch").set_alarm_state(AlarmName=alarms["queue-age"]["alarm_name"], StateValue="OK", StateReason="test")
    aws("cloudwatch").set_alarm_state(AlarmName=alarms["queue-age"]["alarm_name"], StateValue="ALARM", StateReason="test")

    def heard() -> list[dict]:
        messages = aws("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(json.loads(message["Body"])["Message"]) for message in messages]

    announced = wait_for(lambda: [it for it in heard() if it["NewStateValue"] == "ALARM"], "the alarm's announcement", within=30)[0]
    assert announced["AlarmName"] == "pressrun-e2e-queue-age"
    runbook = alarms["queue-age"]["alarm_description"].rsplit("Runbook: ", 1)[1]
    assert (ROOT / runbook).is_file()
    for alarm in alarms.values():
        assert alarm["alarm_actions"] == alarm["ok_actions"] == [topic], alarm["alarm_name"]


def test_the_dashboard_is_there(deployment):
    body = json.loads(aws("cloudwatch").get_dashboard(DashboardName=deployment.outputs["dashboard"])["DashboardBody"])
    headings = [widget["properties"]["markdown"] for widget in body["widgets"] if widget["type"] == "text"]
    assert headings == ["## Is it healthy?", "## How much?", "## How fast?", "## What fails?", "## What does it cost?"]


def put(metric: dict, value: float, dimensions: dict[str, str]) -> None:
    named = [{"Name": name, "Value": of} for name, of in dimensions.items()]
    data = {"MetricName": metric["metric_name"], "Dimensions": named, "Value": value}
    aws("cloudwatch").put_metric_data(Namespace=metric["namespace"], MetricData=[data])


def figures(metric: dict) -> list[float]:
    """What the statistic was in the last periods, with the metric's own dimensions and no others."""
    now = time.time()
    answer = aws("cloudwatch").get_metric_statistics(
        Namespace=metric["namespace"], MetricName=metric["metric_name"],
        Dimensions=[{"Name": name, "Value": of} for name, of in metric["dimensions"].items()],
        StartTime=now - metric["period"], EndTime=now + 60, Period=3600, Statistics=[metric["statistic"]],
    )
    return [point[metric["statistic"]] for point in answer["Datapoints"]]


def state(alarm: dict) -> str:
    return aws("cloudwatch").describe_alarms(AlarmNames=[alarm["alarm_name"]])["MetricAlarms"][0]["StateValue"]
