# Databricks notebook source
# MAGIC %md
# MAGIC # Exercise 3: Event Hubs
# MAGIC
# MAGIC You write a stream of events to an event hub, read it back as another stream, and turn the raw bodies into a table.
# MAGIC The functions come from the same package, `streaming_lab`, as the job's tasks `publish` and `event_hubs`.
# MAGIC
# MAGIC **Before you begin:** run the job once (`lab run event_hubs` does it): it makes the input files and installs the
# MAGIC package on the cluster. `lab status --json` prints the values of the widgets `root`, `secretScope` and
# MAGIC `consumerGroup`.
# MAGIC
# MAGIC What you send here carries a header of its own, and tables and checkpoints go to a folder of their own, `notebook`,
# MAGIC so that you may break them without touching what the job made.

# COMMAND ----------

dbutils.widgets.text("root", "")
dbutils.widgets.text("dataset", "exercises")
dbutils.widgets.text("secretScope", "")
dbutils.widgets.text("consumerGroup", "")

from pyspark.sql import functions as F
from streaming_lab import event_hubs, files, hub_runs, publish
from streaming_lab.arguments import storage_url
from streaming_lab.connection import from_secret, hub_name, kafka_options, write_options
from streaming_lab.layout import Layout
from streaming_lab.schemas import HUB_LINE
from streaming_lab.session import session

spark = session()
layout = Layout(storage_url(dbutils.widgets.get("root")), dbutils.widgets.get("dataset"))
scope, consumer_group = dbutils.widgets.get("secretScope"), dbutils.widgets.get("consumerGroup")
run = hub_runs.new_run()
mine = f"{layout.home}/notebook/event_hubs"
files.delete(mine)
print(f"input   {layout.input('hub_events')}")
print(f"output  {mine}")

# COMMAND ----------

# MAGIC %md
# MAGIC ## 1. Connect, with a connection string that is in no cell
# MAGIC
# MAGIC A connection string is a password. Written into a cell it is in the notebook's history for ever, in each export, and
# MAGIC on each screen share. The secret scope holds two: one whose rule may only *send*, one whose rule may only *listen*.
# MAGIC Databricks prints `[REDACTED]` where you print a secret; look at what may be seen instead.

# COMMAND ----------

send = from_secret(scope, "event-hubs-send")
listen = from_secret(scope, "event-hubs-listen")

print("hub:", hub_name(listen))
for name, value in kafka_options(listen).items():
    print(name, "=", "…" if "jaas" in name else value)

# COMMAND ----------

# MAGIC %md
# MAGIC Event Hubs speaks Kafka's protocol, so Spark's own `kafka` source and sink are all you need. On Azure the user is the
# MAGIC word `$ConnectionString` and the password is the whole string, over TLS on port 9093.
# MAGIC
# MAGIC **Try it:** what happens when you write with the Listen key? Replace `send` by `listen` in the next cell, run it, and
# MAGIC read the error; then put it back.

# COMMAND ----------

# MAGIC %md
# MAGIC ## 2. Write a stream to the hub, at a bounded rate
# MAGIC
# MAGIC One throughput unit takes 1,000 events or 1 MB a second; who sends more is throttled. Here one file of events goes out
# MAGIC every two seconds: `maxFilesPerTrigger` says how much, the trigger says how often. Only two of the files are sent.

# COMMAND ----------

records = spark.readStream.schema(HUB_LINE).option("maxFilesPerTrigger", 1).json(layout.input("hub_events"))

sending = (
    publish.messages(records, run.name)
    .writeStream.queryName("notebook_publish")
    .format("kafka")
    .options(**write_options(send))
    .option("checkpointLocation", f"{mine}/checkpoints/publish")
    .trigger(processingTime="2 seconds")
    .start()
)
while sending.isActive and (sending.lastProgress is None or sending.lastProgress["batchId"] < 1):
    sending.awaitTermination(1)
sending.stop()

for progress in sending.recentProgress:
    print("batch", progress["batchId"], "rows", progress["numInputRows"])

# COMMAND ----------

# MAGIC %md
# MAGIC ## 3. Read the hub as a stream
# MAGIC
# MAGIC The Listen key reads, with your consumer group as the *prefix* of its group ids: each query makes an id of its own.
# MAGIC A fixed id shared by two queries would give each of them only some partitions. The source has the same columns for
# MAGIC every hub: a key, a value in bytes, the partition, the offset in it, and the time the hub received the event. You
# MAGIC share the hub with the job and the live lab, so the stream begins shortly before this notebook did, and keeps what
# MAGIC carries its own header.

# COMMAND ----------

listener = hub_runs.Listener(listen, consumer_group)
hub = hub_runs.own(event_hubs.read_hub(spark, listener, run, 1000), run)
hub.printSchema()

# COMMAND ----------

# The same events as a table: those that are in the hub now.
raw = hub_runs.as_table(spark, listener, run)
display(raw.select("partition", "offset", "timestamp", F.col("value").cast("string").alias("body")).limit(5))

# COMMAND ----------

# MAGIC %md
# MAGIC ## 4. Schema, cast, `from_json`
# MAGIC
# MAGIC A stream cannot guess its schema: it would have to read data that has not come yet. So it is declared, the bytes are
# MAGIC cast to text, and `from_json` makes one struct of each text. What does not fit lands in `_corrupt_record`, and the
# MAGIC reason beside it says why.

# COMMAND ----------

print(event_hubs.BODY.simpleString())
parsed = event_hubs.parsed(hub)
parsed.printSchema()

# COMMAND ----------

display(event_hubs.parsed(raw).groupBy("reason").count())

# COMMAND ----------

# MAGIC %md
# MAGIC ## 5. Flatten
# MAGIC
# MAGIC `Arrival_Time` is in milliseconds, `Creation_Time` in nanoseconds. `timestamp_millis` and `timestamp_micros` of
# MAGIC `Creation_Time div 1000` are exact. The obvious way, a division by 10⁹ and a cast, goes through a double, which has 15
# MAGIC to 17 digits for the 19 of these nanoseconds: compare the last digit.

# COMMAND ----------

display(
    spark.range(1)
    .select(F.lit(1424686733176178965).alias("ns"))
    .select(
        "ns",
        F.expr("timestamp_micros(ns div 1000)").alias("exact"),
        F.expr("CAST(ns / 1000000000 AS TIMESTAMP)").alias("through_a_double"),
    )
)

# COMMAND ----------

flat = event_hubs.flat(parsed)
flat.printSchema()

# COMMAND ----------

# MAGIC %md
# MAGIC Duplicates are removed by `id`. A stream cannot remember every id for ever: the watermark on `Arrival_Time` says how
# MAGIC long it does, and rows that are later than the watermark are dropped, for nobody could tell whether they are new.
# MAGIC Bodies that could not be parsed do not vanish: they go to a table of their own, with the reason.

# COMMAND ----------

events = (
    event_hubs.once(flat)
    .writeStream.queryName("notebook_event_hubs")
    .format("delta")
    .option("checkpointLocation", f"{mine}/checkpoints/event_hubs")
    .trigger(availableNow=True)
    .start(f"{mine}/hub_events")
)
quarantine = (
    event_hubs.malformed(parsed)
    .writeStream.queryName("notebook_quarantine")
    .format("delta")
    .option("checkpointLocation", f"{mine}/checkpoints/quarantine")
    .trigger(availableNow=True)
    .start(f"{mine}/quarantine")
)
events.awaitTermination()
quarantine.awaitTermination()

# COMMAND ----------

# MAGIC %md
# MAGIC ## 6. Show it in a table

# COMMAND ----------

table = spark.read.format("delta").load(f"{mine}/hub_events")
display(table.orderBy("Arrival_Time").limit(20))

# COMMAND ----------

display(table.groupBy("gt", "city").count().orderBy("gt", "city"))

# COMMAND ----------

display(spark.read.format("delta").load(f"{mine}/quarantine").select("reason", "body").limit(20))

# COMMAND ----------

# MAGIC %md
# MAGIC ## Does it add up?
# MAGIC
# MAGIC Sent = stored + set aside + duplicates and late rows. The lab's own run has a ledger of it, where each term is
# MAGIC measured on its own: `lab verify`, or the job's last task.

# COMMAND ----------

progress = events.recentProgress
print("in the hub      ", raw.count())
print("stored          ", table.count())
print("set aside       ", spark.read.format("delta").load(f"{mine}/quarantine").count())
print("duplicates      ", sum(p["stateOperators"][0]["customMetrics"]["numDroppedDuplicateRows"] for p in progress))
print("late            ", sum(p["stateOperators"][0]["numRowsDroppedByWatermark"] for p in progress))

# COMMAND ----------

# MAGIC %md
# MAGIC Clean up: stop what still runs and remove what this notebook wrote. The events stay in the hub until its retention
# MAGIC ends: no one can delete a single event from a hub.

# COMMAND ----------

for query in spark.streams.active:
    if (query.name or "").startswith("notebook_"):
        query.stop()
files.delete(mine)
