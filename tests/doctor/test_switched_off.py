"""Scripts in, codes of findings out."""

from __future__ import annotations

import pytest

from csm_otel.doctor.switched_off import switched_off


@pytest.mark.parametrize(
    ("language", "text", "codes"),
    [
        pytest.param("node", "process.env.AWS_CSM_ENABLED = 'false';", ["csm-off-in-script"], id="node"),
        pytest.param("node", 'process.env["AWS_CSM_ENABLED"] = ""', ["csm-off-in-script"], id="node-by-name"),
        pytest.param("node", "x(); delete process.env.AWS_CSM_ENABLED", ["csm-off-in-script"], id="node-delete"),
        pytest.param("node", "process.env.AWS_CSM_ENABLED = 'true'", [], id="node-on"),
        pytest.param("node", "if (process.env.AWS_CSM_ENABLED == 'x')", [], id="node-compares"),
        pytest.param("node", "// process.env.AWS_CSM_ENABLED = 'false'", [], id="node-comment"),
        pytest.param("node", "new AWS.S3({clientSideMonitoring: false})", [], id="node-option-without-effect"),
        pytest.param("ruby", "S3.new(client_side_monitoring: false)", ["csm-off-in-script"], id="ruby"),
        pytest.param("ruby", "Aws.config[:x] = {:client_side_monitoring => false}", ["csm-off-in-script"], id="rocket"),
        pytest.param("ruby", "ENV['AWS_CSM_ENABLED'] = 'false'", ["csm-off-in-script"], id="ruby-variable"),
        pytest.param("ruby", "ENV.delete('AWS_CSM_ENABLED')", ["csm-off-in-script"], id="ruby-delete"),
        pytest.param("ruby", "# ENV.delete('AWS_CSM_ENABLED')\nputs 1", [], id="ruby-comment"),
        pytest.param("ruby", "S3.new(client_side_monitoring: true)", [], id="ruby-on"),
        pytest.param("php", "new S3Client(['csm' => false])", ["csm-off-in-script"], id="php"),
        pytest.param("php", "putenv('AWS_CSM_ENABLED=false');", ["csm-off-in-script"], id="php-variable"),
        pytest.param("php", "putenv('AWS_CSM_ENABLED=true');", [], id="php-on"),
        pytest.param("php", "", [], id="empty"),
    ],
)
def test_codes(language: str, text: str, codes: list[str]) -> None:
    """Options and variables are found, unless they enable CSM or are comments."""
    assert [one.code for one in switched_off(language, text)] == codes
