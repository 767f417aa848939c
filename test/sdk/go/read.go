// What does the Go SDK of CloudEvents read in our events?  Usage: read FORMAT FILE; FORMAT is json (FILE has one event a line) or
// protobuf (one event a line, in hexadecimal).  Prints a line for each event, as ../README.md describes.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/binding/format/protobuf/v2"
	"github.com/cloudevents/sdk-go/v2/event"
)

func main() {
	file, err := os.Open(os.Args[2])
	if err != nil {
		panic(err)
	}
	lines := bufio.NewReaderSize(file, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			break
		}
		e, err := read(os.Args[1], strings.TrimSuffix(line, "\n"))
		if err == nil {
			err = e.Validate()
		}
		if err != nil {
			fmt.Fprintln(out, "ERROR", strings.Join(strings.Fields(err.Error()), " "))
		} else {
			fmt.Fprintln(out, describe(e))
		}
	}
	if out.Flush() != nil {
		os.Exit(1)
	}
}

func read(form, line string) (e event.Event, err error) {
	if form == "json" {
		return e, e.UnmarshalJSON([]byte(line))
	}
	bytes, err := hex.DecodeString(line)
	if err != nil {
		return e, err
	}
	return e, format.Protobuf.Unmarshal(bytes, &e)
}

func describe(e event.Event) string {
	attributes := []string{
		"specversion=" + escape(e.SpecVersion()),
		"id=" + escape(e.ID()),
		"source=" + escape(e.Source()),
		"type=" + escape(e.Type()),
	}
	add := func(name, value string) {
		if value != "" {
			attributes = append(attributes, name+"="+escape(value))
		}
	}
	add("subject", e.Subject())
	add("datacontenttype", e.DataContentType())
	add("dataschema", e.DataSchema())
	if e.Context.AsV1().Time != nil {
		add("time", e.Time().UTC().Format("2006-01-02T15:04:05.000000000"))
	}
	for name, value := range e.Extensions() {
		attributes = append(attributes, name+"="+typed(value))
	}
	sort.Strings(attributes)
	data := "none"
	if e.DataEncoded != nil {
		data = "data:" + base64.StdEncoding.EncodeToString(e.DataEncoded)
	}
	return strings.Join(attributes, " ") + "\t" + data
}

func typed(value any) string {
	switch v := value.(type) {
	case string:
		return escape(v)
	case bool, int32:
		return fmt.Sprintf("%T:%v", v, v)
	case time.Time:
		return "time:" + v.String()
	}
	return escape(fmt.Sprintf("%T:%v", value, value))
}

// Letters, digits and some others as they are, the rest percent-encoded: the same in every language.
func escape(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._/+", c) >= 0 {
			out.WriteByte(c)
		} else {
			fmt.Fprintf(&out, "%%%02X", c)
		}
	}
	return out.String()
}
