"""Labelled data: data sets by name, splits, files and batches."""

from collections.abc import Callable

from ..registry import Registry
from .cache import cached
from .captions import CaptionDataset, captions, validate_captions
from .client_tables import TextTable, client_splits, read_text_table, write_client_tables, write_text_table
from .dataset import ArrayDataset, Dataset
from .dictionaries import batch_dataset, get_dataset_size, permute_dataset, split_dataset
from .digits import digits
from .event_dataset import EventDataset, EventFiles
from .event_sets.cifar10_dvs import CIFAR10DVS
from .event_sets.daily_dvs import DailyDVS200
from .event_sets.dvs_gesture import DVS128Gesture
from .event_sets.ncaltech101 import NCaltech101
from .event_sets.nmnist import NMNIST
from .fashion_mnist import FashionMNIST
from .idx import read_idx, write_idx
from .image_folder import ImageFolder, image_folder
from .loader import Dataloader
from .mnist import MNIST
from .neuron_data import NeuronData, read_neuron_data, write_neuron_data
from .saccades import saccades
from .shd import SHD, SSC, SpikeFile
from .spike_hdf5 import read_spike_hdf5
from .splits import k_fold, stratified_split
from .text import (
    AozoraBunkoLoader,
    BPETokenizer,
    CharacterTokenizer,
    Document,
    LocalFileLoader,
    SequenceDataset,
    WikipediaLoader,
    load_tokenizer,
    text_sequences,
)
from .tonic_like import from_tonic
from .yin_yang import generate_yin_yang_dataset, yin_yang

DATASETS: Registry[Callable[..., Dataset]] = Registry("data set")
DATASETS.add("digits", digits)
DATASETS.add("mnist", MNIST)
DATASETS.add("fashion_mnist", FashionMNIST)
DATASETS.add("nmnist", NMNIST)
DATASETS.add("ncaltech101", NCaltech101)
DATASETS.add("cifar10_dvs", CIFAR10DVS)
DATASETS.add("dvs128_gesture", DVS128Gesture)
DATASETS.add("dailydvs_200", DailyDVS200)
DATASETS.add("shd", SHD)
DATASETS.add("ssc", SSC)
DATASETS.add("image_folder", image_folder)
DATASETS.add("saccades", saccades)
DATASETS.add("spoken_digits", "spikeloom.datasets.audio:spoken_digits")
DATASETS.add("yin_yang", yin_yang)

__all__ = [
    "CIFAR10DVS",
    "DATASETS",
    "MNIST",
    "NMNIST",
    "SHD",
    "SSC",
    "AozoraBunkoLoader",
    "ArrayDataset",
    "BPETokenizer",
    "CaptionDataset",
    "CharacterTokenizer",
    "DVS128Gesture",
    "DailyDVS200",
    "Dataloader",
    "Dataset",
    "Document",
    "EventDataset",
    "EventFiles",
    "FashionMNIST",
    "ImageFolder",
    "LocalFileLoader",
    "NCaltech101",
    "NeuronData",
    "SequenceDataset",
    "SpikeFile",
    "TextTable",
    "WikipediaLoader",
    "batch_dataset",
    "cached",
    "captions",
    "client_splits",
    "digits",
    "from_tonic",
    "generate_yin_yang_dataset",
    "get_dataset_size",
    "image_folder",
    "k_fold",
    "load_tokenizer",
    "permute_dataset",
    "read_idx",
    "read_neuron_data",
    "read_spike_hdf5",
    "read_text_table",
    "saccades",
    "split_dataset",
    "stratified_split",
    "text_sequences",
    "validate_captions",
    "write_client_tables",
    "write_idx",
    "write_neuron_data",
    "write_text_table",
    "yin_yang",
]
