from .audio.reading import read_song as read_song
from .audio.song import Song as Song
from .editing import Alternative as Alternative
from .editing import alternatives as alternatives
from .editing import edit as edit
from .editing import move_seam as move_seam
from .errors import MusexError as MusexError
from .evaluation.comparison import evaluate as evaluate
from .extension import Extension as Extension
from .extension import extend as extend
from .extension import plan as plan
from .extension import predict as predict
from .extension import separate as separate
from .files import extend_file as extend_file
from .files import render_file as render_file
from .inspection import SongInfo as SongInfo
from .inspection import info as info
from .plans import Plan as Plan
from .prediction.model import Prediction as Prediction
from .prediction.model import load_model as load_model
from .rendering.stitch import render as render
from .stem_files import render_stems as render_stems
from .stem_files import separate_file as separate_file
from .views.reports import report as report
from .views.reports import report_file as report_file

__all__: list[str]
__version__: str
