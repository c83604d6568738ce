"""Which of two answers is preferred: by the model itself, by a reward, or by a judge."""
