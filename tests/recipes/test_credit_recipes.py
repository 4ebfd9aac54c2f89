"""The recipes of credit, smaller than they are: each reaches what its baseline does not."""

import numpy as np

import spikeloom as sl


def test_sltt_reaches_backpropagation_through_time_in_memory_that_does_not_grow():
    import sltt

    through_time, within_steps = (sltt.accuracy(0, 6, epochs=4, **sltt.WAYS[way]) for way in ("BPTT", "SLTT"))
    assert within_steps >= through_time - 0.03
    assert within_steps > 0.8
    short, long = (sltt.saved_bytes(n, sltt.Windows(1.0)) for n in (6, 20))
    assert short == long < sltt.saved_bytes(6, None) / 3


def test_sltt_learns_nothing_of_what_came_before_where_bptt_does():
    import sltt_limit

    gradient, accuracy = sltt_limit.learnt("sltt", epochs=2)
    assert gradient == 0.0
    assert accuracy < 0.2
    gradient, accuracy = sltt_limit.learnt("bptt", epochs=4)
    assert gradient > 1e-3
    assert accuracy > 0.8


def test_the_answers_to_a_task_hardly_move_while_the_next_is_learnt_where_they_are_protected():
    import hlop

    (first, _), (second, _) = hlop.tasks(0, 2)
    values, _ = first.batch(np.arange(100))

    def moved(protected: bool) -> float:
        net, generator = hlop.network(0, "ottt"), np.random.default_rng(0)
        loaders = [sl.Dataloader(part, 64, shuffle=True, generator=generator) for part in (first, second)]
        sl.fit(net, loaders[0], epochs=1, time=hlop.TIME, progress=False)
        if protected:
            rows = {getattr(net, name): n for name, n in hlop.ROWS.items()}
            net.learner.protect(loaders[0], time=hlop.TIME, rows=rows)
        answers = []
        for _ in range(2):
            net.image(values)
            net.run(hlop.TIME)
            answers.append(net.answer.predict.detach())
            sl.fit(net, loaders[1], epochs=1, time=hlop.TIME, progress=False)
        return float((answers[1] - answers[0]).norm() / answers[0].norm())

    assert moved(protected=True) < 0.6 * moved(protected=False)


def test_layers_with_losses_of_their_own_outdo_those_that_stay_as_they_were_drawn():
    import tess

    frozen, local = (tess.accuracy(0, way, 3, epochs=2) for way in ("frozen", "TESS, causal"))
    assert local > frozen + 0.05


def test_a_saccade_gives_events_of_both_kinds_and_a_network_learns_from_both_streams():
    import transfer

    images, _ = transfer.still_images()
    frames = transfer.events(images[:20], np.random.default_rng(0))
    assert frames.shape == (20, transfer.T, 2, transfer.SIZE, transfer.SIZE)
    assert set(np.unique(frames)) == {0.0, 1.0}
    still = transfer.events(np.zeros_like(images[:20]), np.random.default_rng(0))
    assert 0.01 < still.mean() < 0.03 < frames[:, :, 0].mean()
    assert transfer.trained("transfer", 100, 0, n_batches=40) > 0.5


def test_copied_weights_need_tuning_and_little_of_it():
    import pretrain

    module, of_torch, _ = pretrain.pretrained(0, epochs=4)
    net = pretrain.spiking(module, 0, 2e-3)
    copied = pretrain.accuracy(net)
    assert of_torch > 0.85
    assert pretrain.tuned(net, 0, most=1).best > copied + 0.05
