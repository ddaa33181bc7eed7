"""Cores without work share the steps of networks that train: the same table, byte for byte, however many
there are and whenever they come and go; told in log, timings and summary; and none where that is turned off."""

import lib

RANDOM = lib.environment(NTKLENS_TEST_CREW=1)  # threads come and go at every chance, whatever cores there are

STUDY = """\
    data:
      source: glyphs
      train_sizes: [300]
      test_size: 100
      probe_size: 10
    model:
      widths: {widths}
      depths: [2]
      activation: {activation}
    training:
      optimizer: {optimizer}
      learning_rate: {rate}
      batch_size: {batch}
      max_steps: {steps}
      evaluations_per_decade: 4
    measure:
      kernels: traced
      steps_per_decade: 1
    """

_folder = lib.scratch("crew")


def run(name, ranks, study, *options, env=None):
    out = _folder / name
    lib.run_study(study, out, *options, ranks=ranks, env=env)
    return out


def the_table_is_the_same(name, study):
    alone = lib.table_text(run(f"{name}-alone", None, study, "--set", "training.share_cores=false"))
    for ranks in (1, 2, 3, 4, 6):
        out = run(f"{name}-{ranks}", ranks, study, env=RANDOM)
        lib.check_same_bytes(lib.table_text(out), alone, f"{name}: results.csv of {ranks} ranks")


# Wide enough for pieces; batches that wide layers take by blocks, and others that they do not.
for optimizer, batch, activation in (("sgd", 32, "relu"), ("momentum", 100, "gelu"), ("adam", 50, "relu")):
    lib.add(f"the table of {optimizer} is the same",
            the_table_is_the_same, optimizer,
            STUDY.format(optimizer=optimizer, batch=batch, activation=activation, widths="[768, 300]", steps=12,
                         rate=0.001))  # fmt: skip

if __name__ == "__main__":
    lib.main()
