"""The form of the comment at the top of a file of conf/experiment."""

SCORE = r"\.\d{3} \[\.\d{3}, \.\d{3}\]"
RESULT = rf"# About \d+ (s|min) on .+; weighted F1 {SCORE} on val(, {SCORE} on test)? of split \d+\."
