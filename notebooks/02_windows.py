# Databricks notebook source
# MAGIC %md
# MAGIC # Exercise 2: time windows
# MAGIC
# MAGIC Events say that something was opened or closed, and when. You count them per hour, of the time in the event and not of
# MAGIC its arrival. The hard part is to know when an hour is over, because some events come late.
# MAGIC
# MAGIC The functions come from the package `streaming_lab`, the same as in the job's task `windows`: open `windows.py`.
# MAGIC
# MAGIC **Before you begin:** run the job's task `generate` once (`lab run windows` does it), so that there are files, and
# MAGIC attach this notebook to the lab's cluster.

# COMMAND ----------

# MAGIC %md
# MAGIC ## 0. Where everything is, and the windows' settings
# MAGIC `root` is the lab's container: `lab status --json` prints it. `dataset` is a folder in it.

# COMMAND ----------

dbutils.widgets.text("root", "")
dbutils.widgets.text("dataset", "exercises")
dbutils.widgets.text("size", "1 hour")
dbutils.widgets.text("slide", "15 minutes")
dbutils.widgets.text("watermark", "2 hours")

from pyspark.sql import functions as F

from streaming_lab import files, windows
from streaming_lab.arguments import duration, storage_url
from streaming_lab.layout import Layout
from streaming_lab.schemas import EVENT
from streaming_lab.session import session

spark = session()
layout = Layout(storage_url(dbutils.widgets.get("root")), dbutils.widgets.get("dataset"))
size, slide, watermark = (duration(dbutils.widgets.get(name)) for name in ("size", "slide", "watermark"))
mine = f"{layout.home}/notebook/windows"
files.delete(mine)

# COMMAND ----------

# MAGIC %md
# MAGIC Some lines are malformed: cut off, or with a word where the time belongs. They cannot be counted, and they do not vanish
# MAGIC either: `quarantine` keeps their text with the reason, `valid` takes all others.

# COMMAND ----------

lines = spark.read.schema(EVENT).json(layout.input("events"))
table = windows.valid(lines)
display(table.limit(5))
display(windows.quarantine(lines).limit(5))

# COMMAND ----------

# MAGIC %md
# MAGIC ## 1. Tumbling windows
# MAGIC Windows that follow each other: 10:00 to 11:00, 11:00 to 12:00. An event at 11:00:00 is in the second one. Here over a
# MAGIC table, where all events are known; sorting is allowed.

# COMMAND ----------

display(windows.tumbling(table, size, watermark).orderBy("start", "action"))

# COMMAND ----------

# MAGIC %md
# MAGIC ## 2. Sliding windows
# MAGIC A window of the same size begins every `slide`, so they overlap, and an event is in `size / slide` of them: with 1 hour
# MAGIC and 15 minutes, in four. Change the widgets and run the cells again.

# COMMAND ----------

display(windows.sliding(table, size, slide, watermark).orderBy("start", "action"))

# COMMAND ----------

# MAGIC %md
# MAGIC ## 3. Shuffle partitions
# MAGIC To count, Spark brings the rows of a window together: a shuffle. On a stream each shuffle partition is a task **and** a
# MAGIC piece of state with its own files, in every batch. Spark's default of 200 is made for hundreds of cores. With 2 or 4
# MAGIC cores nearly all of the time went into starting tasks that had nothing to do: this exercise took about 20 times as
# MAGIC long. So the session has as many partitions as the cluster has cores.

# COMMAND ----------

print("cores:             ", spark.sparkContext.defaultParallelism)
print("shuffle partitions:", spark.conf.get("spark.sql.shuffle.partitions"))

# COMMAND ----------

# MAGIC %md
# MAGIC ## 4. The watermark, and late data that is really dropped
# MAGIC A stream cannot wait for ever for events of an hour long past. The **watermark** is the latest event time seen, minus 2
# MAGIC hours. When it passes a window's end, the window is finished: in **append** mode it is written now, once, and its state is
# MAGIC forgotten. An event that comes for it later is dropped.
# MAGIC
# MAGIC The output mode matters. A sort on a streaming count is allowed in **complete** mode only, and complete mode writes all
# MAGIC windows after each batch: it can never forget one, so it never drops anything and its state grows for ever. So:
# MAGIC `append` here, and sort where the result is read.
# MAGIC
# MAGIC The watermark moves *between* batches: a late row in the batch that moves it is still counted, and rows are dropped by
# MAGIC the watermark of the batch before. That is why the files are read eight at a time: the third batch is the first to drop any.

# COMMAND ----------

events = windows.valid(windows.read_events(spark, layout.input("events")))
counts = windows.tumbling(events, size, watermark)

query = (
    counts.writeStream.format("delta")
    .outputMode("append")
    .queryName("windows_tumbling")
    .option("checkpointLocation", f"{mine}/checkpoint")
    .trigger(availableNow=True)
    .start(f"{mine}/tumbling")
)

# COMMAND ----------

# MAGIC %md
# MAGIC ## 5. Live: counts over windows, the watermark, and what was dropped
# MAGIC Run the next two cells while the query runs, and again when it has ended. On Databricks choose *Visualization: Line*
# MAGIC for the first: `start` on the x axis, `count` on the y axis, `action` as the series.

# COMMAND ----------

query.awaitTermination(10)
written = spark.read.format("delta").load(f"{mine}/tumbling")
display(written.orderBy("start", "action"))

# COMMAND ----------

# MAGIC %md
# MAGIC One row for each batch. `dropped` is Spark's own count, of groups after each task has summed up its rows: fewer
# MAGIC than the rows that were dropped. The lab's ledger (`lab verify`) counts the rows, by a replay of the checkpoint.

# COMMAND ----------


def batches(query):
    """Batch, input rows, watermark, rows in state and dropped groups of each recent batch."""
    rows = [
        (
            progress["batchId"],
            progress["numInputRows"],
            progress["eventTime"].get("watermark", ""),
            sum(operator["numRowsTotal"] for operator in progress["stateOperators"]),
            sum(operator["numRowsDroppedByWatermark"] for operator in progress["stateOperators"]),
        )
        for progress in query.recentProgress
    ]
    return spark.createDataFrame(rows, "batch long, rows long, watermark string, state long, dropped long")


display(batches(query))

# COMMAND ----------

# MAGIC %md
# MAGIC On Databricks `display` also takes the stream itself. Choose the line graph there too, and watch it grow. Which windows
# MAGIC are missing at the right end, and why?

# COMMAND ----------

display(counts)

# COMMAND ----------

# MAGIC %md
# MAGIC Late rows, seen from the other side: what a table with all events counts, minus what the stream wrote. Negative
# MAGIC never happens; windows that are still open are left out.

# COMMAND ----------

query.awaitTermination()
streamed = spark.read.format("delta").load(f"{mine}/tumbling").withColumnRenamed("count", "streamed")
missing = (
    windows.tumbling(table, size, watermark)
    .join(streamed, ["start", "end", "action"])
    .withColumn("dropped", F.col("count") - F.col("streamed"))
    .where("dropped != 0")
)
display(missing.orderBy("start", "action"))

# COMMAND ----------

# MAGIC %md
# MAGIC Stop what still runs, and clean up.

# COMMAND ----------

for active in spark.streams.active:
    active.stop()
files.delete(mine)

# COMMAND ----------

# MAGIC %md
# MAGIC **Try it.** (a) Watermark of 36 hours: what is dropped now, and what happens to `state`? (b) Read one file in each batch
# MAGIC (`files_per_batch=1`): why are more rows dropped? (c) The job `live` (`dataset` = `live`) writes
# MAGIC events while you watch, an hour of them every 7 seconds.
