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
    """Every alarm of the deployment by its name, less the deployment's."""
    pages = aws("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNamePrefix="pressrun-e2e-")
    found = [alarm for page in pages for alarm in page["MetricAlarms"]]
    return {alarm["AlarmName"].removeprefix("pressrun-e2e-"): alarm for alarm in found}


def test_every_alarm_goes_off_when_its_metric_is_over_its_line(alarms):
    assert len(alarms) == 21
    for name, alarm in alarms.items():
        if name in NOT_DRIVEN or "Metrics" in alarm and alarm["Metrics"]:
            continue
        # A deployment of another name is not what the alarm is about.
        others = [{"Name": dimension["Name"], "Value": "another"} for dimension in alarm["Dimensions"]]
        put(alarm["Namespace"], alarm["MetricName"], others, alarm["Threshold"] + 1000)
        before = figures(alarm)
        put(alarm["Namespace"], alarm["MetricName"], alarm["Dimensions"], alarm["Threshold"] + 1)
        after = figures(alarm)
        assert not before or max(before) <= alarm["Threshold"] or name.startswith(("errors", "throttles", "deadline")), name
        assert max(after) > alarm["Threshold"], name
        assert state(alarm) == "ALARM", name


def test_failed_jobs_are_heard_of_by_their_share_and_not_one_by_one(alarms):
    alarm = alarms["failed-jobs"]
    queries = {query["Id"]: query for query in alarm["Metrics"]}
    share = queries.pop("share")
    assert {query["MetricStat"]["Metric"]["Namespace"] for query in queries.values()} == {"Pressrun"}
    emitted = {metric["name"] for metric in json.loads((ROOT / "resources/metrics.json").read_text())["metrics"]}
    for query in queries.values():
        metric = query["MetricStat"]["Metric"]
        assert metric["MetricName"] in emitted and metric["Dimensions"] == [{"Name": "service", "Value": "pressrun-e2e"}]

    def goes_off(failed: int, completed: int | None) -> bool:
        """The expression with CloudWatch's functions of the same names; a sum that is missing is None."""
        fill = lambda value, instead: instead if value is None else value
        choose = lambda condition, then, otherwise: then if condition else otherwise
        names = {"IF": choose, "FILL": fill, "failed": failed, "completed": completed}
        return eval(share["Expression"], {"__builtins__": {}}, names) > alarm["Threshold"]  # noqa: S307

    assert goes_off(failed=3, completed=None) and goes_off(failed=3, completed=26)
    assert not goes_off(failed=3, completed=27) and not goes_off(failed=2, completed=0)

    # The two sums as the functions' metrics give them.
    for name, value in (("completed", 20), ("failed", 1), ("failed", 1), ("failed", 1)):
        put("Pressrun", name, [{"Name": "service", "Value": "pressrun-e2e"}], value)
    sums = {name: sum(values(query["MetricStat"])) for name, query in queries.items()}
    assert goes_off(**sums), sums


def test_a_sweeper_without_metrics_is_heard_of(alarms):
    alarm = alarms["sweeper-silent"]
    assert alarm["TreatMissingData"] == "breaching"
    assert (alarm["MetricName"], alarm["Statistic"], alarm["ComparisonOperator"], alarm["Threshold"]) == (
        "Invocations", "Sum", "LessThanThreshold", 1.0,
    )
    assert {name for name, other in alarms.items() if other["TreatMissingData"] == "breaching"} == {"sweeper-silent"}


def test_alarms_are_announced_with_their_runbook_to_a_topic_of_their_own(deployment, alarms):
    topic = deployment.outputs["alarm_topic_arn"]
    assert topic != deployment.outputs["topic_arn"]
    url = Inbox(topic, name="pressrun-e2e-alarms").url
    aws("cloudwatch").set_alarm_state(AlarmName=alarms["queue-age"]["AlarmName"], StateValue="OK", StateReason="test")
    aws("cloudwatch").set_alarm_state(AlarmName=alarms["queue-age"]["AlarmName"], StateValue="ALARM", StateReason="test")

    def heard() -> list[dict]:
        messages = aws("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(json.loads(message["Body"])["Message"]) for message in messages]

    announced = wait_for(lambda: [it for it in heard() if it["NewStateValue"] == "ALARM"], "the alarm's announcement", within=30)[0]
    assert announced["AlarmName"] == "pressrun-e2e-queue-age"
    runbook = alarms["queue-age"]["AlarmDescription"].rsplit("Runbook: ", 1)[1]
    assert (ROOT / runbook).is_file()
    for alarm in alarms.values():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [topic], alarm["AlarmName"]


def test_the_dashboard_is_there(deployment):
    body = json.loads(aws("cloudwatch").get_dashboard(DashboardName=deployment.outputs["dashboard"])["DashboardBody"])
    headings = [widget["properties"]["markdown"] for widget in body["widgets"] if widget["type"] == "text"]
    assert headings == ["## Is it healthy?", "## How much?", "## How fast?", "## What fails?", "## What does it cost?"]


def put(namespace: str, name: str, dimensions: list[dict], value: float) -> None:
    data = {"MetricName": name, "Dimensions": dimensions, "Value": value}
    aws("cloudwatch").put_metric_data(Namespace=namespace, MetricData=[data])


def figures(alarm: dict) -> list[float]:
    """What the alarm's statistic is now, with the alarm's dimensions and no others."""
    now = time.time()
    answer = aws("cloudwatch").get_metric_statistics(
        Namespace=alarm["Namespace"], MetricName=alarm["MetricName"], Dimensions=alarm["Dimensions"],
        StartTime=now - alarm["Period"] * alarm["EvaluationPeriods"], EndTime=now + 60,
        Period=alarm["Period"], Statistics=[alarm["Statistic"]],
    )
    return [point[alarm["Statistic"]] for point in answer["Datapoints"]]


def values(stat: dict) -> list[float]:
    query = {"Id": "it", "MetricStat": stat}
    now = time.time()
    answer = aws("cloudwatch").get_metric_data(MetricDataQueries=[query], StartTime=now - 600, EndTime=now + 60)
    return answer["MetricDataResults"][0]["Values"]


def state(alarm: dict) -> str:
    return aws("cloudwatch").describe_alarms(AlarmNames=[alarm["AlarmName"]])["MetricAlarms"][0]["StateValue"]
