"""A holder that nobody has: its OpenAPI file, as a region might publish one for its travel cards."""

PATH = "/v1/transports/carte/identite"
OPENAPI = """\
openapi: 3.1.0
info: {title: Transports de la région imaginaire, version: "1"}
paths:
  /v1/transports/carte/identite:
    get:
      summary: "[Identité] Carte de transport régionale"
      parameters:
        - $ref: "#/components/parameters/recipient"
        - {name: nomNaissance, in: query, required: true, schema: {type: string}}
        - {name: "prenoms[]", in: query, required: true, schema: {type: array, maxItems: 1, items: {type: string}}}
        - {name: anneeDateNaissance, in: query, required: true, schema: {type: integer}}
        - {name: moisDateNaissance, in: query, required: true, schema: {type: integer}}
        - {name: jourDateNaissance, in: query, required: true, schema: {type: integer}}
        - name: reseau
          in: query
          required: false
          description: Réseau de transport
          schema: {type: string, pattern: "^[a-z]{2,20}$"}
      responses:
        "200":
          description: la carte
          content:
            application/json:
              schema:
                type: object
                required: [data, links, meta]
                properties:
                  data: {$ref: "#/components/schemas/Carte"}
                  links: {type: object}
                  meta: {type: object}
components:
  parameters:
    recipient: {name: recipient, in: query, required: true, schema: {type: string}}
  schemas:
    Validite:
      type: object
      properties:
        date_fin_validite:
          {title: Fin de validité de la carte, type: [string, "null"], format: date, example: "2027-08-31"}
    Carte:
      type: object
      properties:
        titulaire:
          type: object
          properties:
            nom: {title: Nom, type: string, example: MARTIN}
            prenom: {title: Prénom, type: string, example: JEANNE}
        carte:
          allOf:
            - $ref: "#/components/schemas/Validite"
            - type: object
              properties:
                est_valide: {title: Carte valide, type: boolean, example: true}
                formule: {title: Formule d'abonnement, type: string, enum: [scolaire, senior], example: scolaire}
        trajets:
          type: array
          items:
            type: object
            properties:
              ligne: {title: Ligne empruntée, type: string, example: L7}
              zones: {title: Zones traversées, type: array, items: {type: integer}, example: [1, 2]}
"""
