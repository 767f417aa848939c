"""Is what Debezium brought to Kafka what the plugin domev sends?

Arguments: a file with the events that the plugin sent, one a line, in their order; one with the records that Read.java found.
Prints lines "passed: SENTENCE" and "failed: SENTENCE".
"""

import collections
import json
import re
import sys

NO_ATTRIBUTES = {'data', 'data_base64', 'sequence', 'endoftransaction', 'mac', 'line'}  # or known to the plugin only, or checked by nobody
OF_ROWS = ('rows', 'binary')
STRUCTURED = {'content-type': 'application/cloudevents+json'}

Place = collections.namedtuple('Place', 'connector topic key')


def places(event):
    """Where an event has to be: messages of shop.audit are taken by two connectors, those of shop.mixed by the one that parses nothing."""
    topic = event['topic']
    if topic == 'shop.audit' or 'replayid' in event:
        yield Place('messages', topic, event['partitionkey'])
    if 'replayid' in event:
        yield Place('unparsed', 'unparsed.' + topic, 'domev.replay/kafka/' + topic)
    elif topic in ('shop.audit', 'shop.mixed'):
        yield Place('unparsed', 'unparsed.' + topic, 'domev/' + topic)
    else:
        yield Place('binary' if 'data_base64' in event else 'rows', topic, event['partitionkey'])


def identity(event):
    return event['id'] + event.get('replayid', '')


def attributes(event):
    """The SDK writes times without zeros at their end."""
    found = {name: value for name, value in event.items() if name not in NO_ATTRIBUTES}
    return {**found, 'time': re.sub(r'\.?0*Z$', 'Z', found['time'])}


def attributes_of(record, place):
    """domev's own headers come as one header with rows."""
    headers = record['headers'].get('headers') if place.connector in OF_ROWS else None
    return {**attributes(record['event']), **json.loads(headers or '{}')}


def value(event, place):
    """What a record has to have, to the byte."""
    line = event['line']
    if place.connector == 'binary':
        return event['data_base64']
    if place.connector not in OF_ROWS:
        return line[:line.rindex(',"sequence":')]
    start = line.find('"data":') + len('"data":')
    return line[start:json.JSONDecoder().raw_decode(line, start)[1]] if '"data":' in line else None


def value_of(record, place):
    """Without the MAC, which nobody but the database knows."""
    if place.connector == 'binary':
        return record['event']['data_base64']
    return record['value'] if place.connector == 'rows' else record['value'][:record['value'].rindex(',"mac":')]


def is_in_its_mode(record, event, place):
    if place.connector in OF_ROWS:
        return record['headers']['ce_id'] == event['id'] and record['headers']['content-type'] == event.get('datacontenttype')
    return record['headers'] == STRUCTURED


def at(record):
    return record['topic'], identity(record['event'])


class Judge:
    def __init__(self, events, records):
        self.expected = {(place.topic, identity(event)): (event, place) for event in events for place in places(event)}
        self.order = {identity(event): number for number, event in enumerate(events)}
        self.records = records

    def say(self, bad, sentence):
        """With one of the bad, if there are any."""
        bad = list(bad)
        if bad:
            print('failed: %s, but not %d, such as %s' % (sentence, len(bad), json.dumps(bad[0], ensure_ascii=False)[:1500]))
        else:
            print('passed: ' + sentence)

    def judge(self):
        self.say((record for record in self.records if 'event' not in record), 'the SDK of CloudEvents reads every record')
        records = [record for record in self.records if 'event' in record]
        self.say((record for record in records if at(record) not in self.expected), 'no record is there but of events, in their topics')
        for connector in ('rows', 'binary', 'messages', 'unparsed'):
            self.judge_connector(connector, [record for record in records
                                             if at(record) in self.expected and self.expected[at(record)][1].connector == connector])

    def judge_connector(self, connector, records):
        first = {}
        for record in records:
            first.setdefault(at(record), record)
        expected = {where: event for where, (event, place) in self.expected.items() if place.connector == connector}
        found = [(record, *self.expected[at(record)]) for record in records]
        self.say((event for where, event in expected.items() if where not in first),
                 '%s: every event is there (%d events, %d records)' % (connector, len(expected), len(records)))
        self.say((record for record, event, place in found if record['key'] != place.key), connector + ': each has its key')
        self.say(([attributes(event), record] for record, event, place in found if attributes(event) != attributes_of(record, place)),
                 connector + ': each has its attributes')
        self.say(([value(event, place), record] for record, event, place in found if value(event, place) != value_of(record, place)),
                 connector + ': each has its value, to the byte')
        self.say((record for record, event, place in found if not is_in_its_mode(record, event, place)), connector + ': each is in its content mode')
        self.say(self.out_of_order(first.values()), connector + ': each key is in one partition, in the order of the commits, repeats apart')

    def out_of_order(self, records):
        last = {}
        for record in sorted(records, key=lambda record: (record['topic'], record['partition'], record['offset'])):
            key = (record['topic'], record['key'])
            place = (record['partition'], self.order[identity(record['event'])])
            if last.get(key, place) > place or last.get(key, place)[0] != place[0]:
                yield record
            last[key] = place


def read(name, start):
    with open(name, encoding='utf-8') as lines:
        return [json.loads(line) | {'line': line.rstrip('\n')} for line in lines if line.startswith(start)]


Judge(read(sys.argv[1], '{"specversion"'), read(sys.argv[2], '{"topic"')).judge()
