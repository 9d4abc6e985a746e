# Written by tools/stubs.py from the cards; `make stubs` renews it.
from fivefold.data.encoders import OneHotEncoder as OneHotEncoder
from fivefold.data.encoders import StandardScaler as StandardScaler
from fivefold.data.readers import TableReader as TableReader
from fivefold.data.streams import StreamedBatches as StreamedBatches
