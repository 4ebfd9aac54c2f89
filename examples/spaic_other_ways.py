"""SPAIC's other ways of constructing networks, line by line: only the package's name is changed.

The lines that its printed text has lost are put back, and `self`, which is no name outside of a class, is the network.
"""

import spikeloom as spaic

# 1. the form using 'with'

Net = spaic.Network()

with Net:
    input1 = spaic.Encoder(784, encoding='poisson')
    layer1 = spaic.NeuronGroup(10, model='clif')
    connection1 = spaic.Connection(input1, layer1, link_type='full')
    output = spaic.Decoder(num=10, dec_target=layer1, coding_method='spike_counts')
    monitor1 = spaic.StateMonitor(layer1, 'V')
    learner = spaic.Learner(trainable=Net, algorithm='STCA')
    learner.set_optimizer('Adam', 0.001)

print(Net)

# 2. by importing a model of the library and modifying it

from spikeloom.Library import ExampleNet
Net = ExampleNet()
neuron_param = {
    'tau_m': 8.0,
    'V_th': 1.5,
}
layer3 = spaic.NeuronGroup(100, model='lif', param=neuron_param)
layer4 = spaic.NeuronGroup(100, model='lif', param=neuron_param)

Net.add_assembly('layer3', layer3)
Net.del_assembly(Net.layer3)
Net.copy_assembly('net_layer', ExampleNet())
Net.replace_assembly(Net.layer1, layer3)
Net2 = ExampleNet()
Net.merge_assembly(Net2)
con = spaic.Connection(Net.layer2, Net.net_layer, link_type='full')
Net.add_connection('con3', con)
Net3 = Net.select_assembly([Net.layer2, Net.net_layer])

print(Net3)
