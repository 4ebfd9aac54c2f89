"""The recipe of delays that see motion, in a small setting."""

import numpy as np
import torch
from torch.nn import functional as F


def test_evidence_is_what_each_delay_makes_of_the_events_so_much_earlier_and_of_their_negative():
    import motion

    net, (events, _) = motion.network(3, 0), motion.movies(2, 0)
    with torch.no_grad():
        found = motion.evidence(net, events)
        parameters = dict(net.named_parameters())
        answers = []
        for x in (torch.from_numpy(events), torch.from_numpy(events[:, :, ::-1].copy())):
            v = torch.zeros(motion.STEPS, 2, motion.DIRECTIONS, motion.PLACES)
            for k in range(3):
                for t in range(k, motion.STEPS):
                    v[t] += F.conv2d(x[:, t - k], parameters[f"delay{k}.weight"]).flatten(2)
            answers.append(v + parameters["delay0.bias"][:, None])
        assert float((answers[0] - answers[1]).abs().max()) > 0.01
        torch.testing.assert_close(found, torch.maximum(*answers), rtol=1e-4, atol=1e-5)


def test_training_moves_kernels_and_cutting_leaves_the_first():
    import motion

    start, net = motion.network(motion.DELAYS, 0), motion.trained(motion.DELAYS, 0, n=8, epochs=1)
    start.draw_parameters()
    before, after = start.state_dict(), net.state_dict()
    assert all(not torch.equal(before[name], after[name]) for name in before)
    short, alone = motion.shortened(net, 1), motion.network(1, 0)
    alone.load_state_dict({name: value for name, value in after.items() if name.startswith("delay0.")})
    events, _ = motion.movies(2, 1)
    with torch.no_grad():
        torch.testing.assert_close(motion.evidence(short, events), motion.evidence(alone, events))


def test_a_movie_moves_in_its_direction():
    import motion

    events, labels = motion.movies(8, 0)
    assert labels.tolist() == list(range(8))
    light = events[:, :, 0] - events[:, :, 1]
    for k, label in enumerate(labels):  # events two steps, a pixel, later are most like those a pixel further on
        dx, dy = np.rint(np.cos(np.pi * label / 4)), np.rint(np.sin(np.pi * label / 4))
        moved = [
            float((np.roll(light[k, :-3], (int(s * dy), int(s * dx)), (1, 2)) * light[k, 3:])[:, 4:-4, 4:-4].sum())
            for s in (1, -1)
        ]
        assert moved[0] > moved[1]
