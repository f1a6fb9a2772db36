"""Memory of a training step against torch's own accounting on real tensors: saved tensors, gradients and optimizer state."""

import pytest
import torch
import transformers

from estimator.model.fusion import saved
from estimator.model.optimizer import state_bytes
from estimator.model.saved import Part
from estimator.model.tracing import trace

SMALL = {"hidden_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 344}
RESNET = {"embedding_size": 16, "hidden_sizes": [16, 32, 64, 128], "depths": [1, 1, 1, 1], "num_labels": 10}
T5 = {"d_model": 128, "d_ff": 256, "num_layers": 2, "num_heads": 4, "d_kv": 32, "dropout_rate": 0.0, "decoder_start_token_id": 0}


def kept(traced, fusion="eager"):
    """Bytes that wait for backward."""
    return sum(size for part, size in saved(traced, fusion).items() if not part.working)


def text():
    ids = torch.randint(0, 500, (4, 64))
    return {"input_ids": ids, "labels": ids}


def images():
    return {"pixel_values": torch.randn(4, 3, 64, 64), "labels": torch.zeros(4, dtype=torch.long)}


MODELS = {
    "gpt-2": (text, transformers.GPT2LMHeadModel, transformers.GPT2Config(n_embd=128, n_layer=3, n_head=4, vocab_size=500)),
    "bert": (text, transformers.BertForMaskedLM, transformers.BertConfig(**SMALL, vocab_size=500, attention_probs_dropout_prob=0.0)),
    "llama": (text, transformers.LlamaForCausalLM, transformers.LlamaConfig(**SMALL, vocab_size=500, num_key_value_heads=2)),
    "t5": (text, transformers.T5ForConditionalGeneration, transformers.T5Config(**T5, vocab_size=500)),
    "vit": (images, transformers.ViTForImageClassification, transformers.ViTConfig(**SMALL, image_size=64, num_labels=10)),
    "resnet": (images, transformers.ResNetForImageClassification, transformers.ResNetConfig(**RESNET)),
}


@pytest.fixture(scope="module", params=MODELS)
def case(request):
    """A model in training, its inputs and its trace."""
    inputs, model_class, config = MODELS[request.param]
    if hasattr(config, "attn_pdrop"):
        config.attn_pdrop = 0.0  # with dropout, attention on CPUs is no fused kernel
    model, given = model_class(config).train(), inputs()
    return model, given, trace(model, **given, backward=True, optimizer="adamw")


def test_activations_saved_for_backward_are_those_that_torch_saves(case):
    model, inputs, traced = case
    owned = {tensor.untyped_storage()._cdata for tensor in (*model.parameters(), *model.buffers())}
    saved = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage._cdata not in owned:
            saved[storage._cdata] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model(**inputs)
    assert kept(traced) == pytest.approx(sum(storage.nbytes() for storage in saved.values()), rel=0.1, abs=0)


def test_weights_gradients_and_optimizer_state_are_what_a_real_step_allocates(case):
    model, inputs, traced = case
    optimizer = torch.optim.AdamW(model.parameters())
    model(**inputs).loss.backward()
    optimizer.step()
    gradients = sum(parameter.grad.nbytes for parameter in model.parameters() if parameter.grad is not None)
    state = sum(value.nbytes for states in optimizer.state.values() for value in states.values())
    assert traced.parameter_bytes == sum(parameter.nbytes for parameter in model.parameters())
    assert traced.parameter_bytes == pytest.approx(gradients, rel=0.1, abs=0)
    steps = [signature for signature in traced.signatures if signature.op == "est.optimizer_step"]
    assert sum(map(state_bytes, steps)) == pytest.approx(state, rel=0.1, abs=0)


def test_the_peak_lies_between_what_is_saved_and_that_with_what_the_largest_launch_needs(case):
    traced = case[-1]
    assert kept(traced) <= 1.1 * traced.saved_bytes
    assert traced.saved_bytes <= sum(saved(traced).values())


def test_a_compiler_saves_no_more_than_eager_execution(case):
    assert kept(case[-1], "fused") <= 1.001 * kept(case[-1])  # a few statistics more


def test_inference_saves_nothing():
    assert saved(trace(torch.nn.Linear(4, 4), torch.empty(2, 4))) == {}


def test_a_chain_saves_the_inputs_of_its_products():
    # 4 rows of 32 fp32 are 512 B: the first layer's weight gradient needs its input; tanh's backward its output, which is also
    # the second layer's input. The second layer's own output, of 512 B, is needed by nobody.
    # The gradient of the loss, one number, is there before backward starts.
    layers = torch.nn.Sequential(torch.nn.Linear(32, 32), torch.nn.Tanh(), torch.nn.Linear(32, 32))
    assert kept(trace(layers, torch.empty(4, 32), backward=True)) == 2 * 512 + 4


class Block(torch.nn.Module):
    """A norm, a product, an activation function and a product, added to what came in."""

    def __init__(self):
        super().__init__()
        self.norm, self.wide, self.narrow = torch.nn.LayerNorm(32), torch.nn.Linear(32, 64), torch.nn.Linear(64, 32)

    def forward(self, x):
        return x + self.narrow(torch.nn.functional.gelu(self.wide(self.norm(x))))


def test_parts_say_what_tensor_parallelism_cuts_and_what_no_product_is_needed_for():
    # Rows of 32 fp32 are 128 B, of 64 are 256 B. In each layer the input, which the norm reads, stays whole, and so do the norm's result
    # and two statistics, which can be had again from it; the first product's result is cut by its columns, and gelu's, had again from that.
    found = saved(trace(torch.nn.Sequential(Block(), Block()), torch.empty(4, 32), backward=True), "fused")
    rows = {part: size / 2 / 4 for part, size in found.items() if part.place == "layers" and not part.working}
    assert rows[Part("layers", cut=True)] == 256
    assert rows[Part("layers", cut=True, light=True)] == 256
    assert rows[Part("layers", light=True)] == 128 + 8
    assert rows[Part("layers")] == 128
